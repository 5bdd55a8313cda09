"""A small client of the SQL port, for the command line."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2

from infra.errors import SqlPortAway, SqlRefused

_CONNECT_S = 5.0
# ClickHouse's own limits end a query; this one is for a port that says nothing at all.
_SILENCE_S = 900.0


class SqlClient:
    """Asks one port with one token. An interrupted query is ended by the port, since its client has gone."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        timeout = httpx2.Timeout(_SILENCE_S, connect=_CONNECT_S)
        self._http = httpx2.Client(base_url=url, headers={"X-ClickHouse-Key": token}, timeout=timeout, trust_env=False)

    def run(self, sql: str, output_format: str) -> Iterator[bytes]:
        """The result in pieces, in a format of ClickHouse's.

        Raises:
            SqlRefused: with ClickHouse's own text.
            SqlPortAway: nobody answers, or the answer breaks off.
        """
        settings = {"default_format": output_format, "database": "viworks", "output_format_pretty_color": "0"}
        try:
            with self._http.stream("POST", "/", params=settings, content=sql.encode()) as answer:
                if answer.status_code != 200:
                    raise SqlRefused(answer.read().decode(errors="replace").strip())
                yield from answer.iter_bytes()
        except httpx2.TransportError as error:
            raise SqlPortAway(
                f"The SQL port at {self._url} does not answer, or broke off ({type(error).__name__}): see whether "
                "`viworks up` runs, and on the embedded engine; a server is asked by its own clients."
            ) from None

    def rows(self, sql: str) -> list[str]:
        """The lines of a result of one column."""
        return b"".join(self.run(sql, "TSVRaw")).decode(errors="replace").splitlines()

    def close(self) -> None:
        """Release the connection."""
        self._http.close()
