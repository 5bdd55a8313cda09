"""One connection of the edge: uvicorn's protocol with limits on what a client may send, and who it is.

uvicorn 0.54 with httptools takes heads of any size and tells the application nothing of the client's certificate. A request
that comes whole in one piece costs nothing extra here but the checks of its head; whatever comes in pieces is counted.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from ingest import forwarded
from ingest.addresses import address_key
from ingest.errors import CertificateRefused, HeaderTooLarge, MalformedHttp, Problem, TooManyRequests
from ingest.front import Front
from ingest.in_flight import HEAD_BYTES
from ingest.metrics import FRONT_REFUSALS
from ingest.peer import PeerCertificate, peer_of, read_certificate
from ingest.problem_answer import ProblemAnswer
from ingest.request_head import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    SPECIAL,
    check_head,
    check_head_size,
    check_upgrade,
    expects_continue,
)
from ingest.routes import BASE_PATH
from ingest.timed_protocol import TimedProtocol

MAX_PIPELINED = 32
_EVENTS_PATH = f"{BASE_PATH}/clients/events".encode()
# Of chunked bodies: the smallest chunk is one byte in six.
_FRAMING_PER_BODY_BYTE = 8


class EdgeProtocol(TimedProtocol):
    """A connection. The application finds ``peer`` (PeerCertificate or None) and ``address`` in ``scope["state"]``."""

    def __init__(self, front: Front, config: Config, server_state: ServerState, address: str) -> None:
        super().__init__(front, config, server_state, address)
        self._peer: PeerCertificate | None = None
        self._has_certificate = False
        self._is_proxy = False
        self._certificate_fault: CertificateRefused | None = None
        # Of the message that is coming in: its bytes in earlier pieces that are not body, and those that are.
        self._framing = 0
        self._body_bytes = 0
        self._begun = 0
        self._special: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        if der is not None:
            self._has_certificate = True
            self._meet(der)

    def _meet(self, der: bytes) -> None:
        try:
            certificate = read_certificate(der)
            self._is_proxy = self._front.proxies.include(certificate)
            if not self._is_proxy:
                self._peer = self.app_state["peer"] = peer_of(certificate)
        except CertificateRefused as refusal:
            self._certificate_fault = refusal

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._partial or len(data) > MAX_HEAD_BYTES:
            self._feed_pieces(data)
            return
        self._begun = 0
        if self._feed(data):
            # Where the message began is not known where another was before it.
            self._framing = len(data) - self._body_bytes if self._begun == 1 else 0
            self._wait_for_request()

    def _feed(self, data: bytes) -> bool:
        """Parse; returns whether a message has begun and is not complete."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # An offer that is not taken up (RFC 9110, 7.8): what follows is HTTP as before.
            rest = data[upgrade.args[0] :]
            return self._feed(rest) if rest else self._partial
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Problem) else MalformedHttp())
        return self._partial and not self._refused

    def _feed_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_HEAD_BYTES):
            self._feed_piece(data[start : start + MAX_HEAD_BYTES])
            if self._refused:
                return
        if self._partial:
            self._wait_for_request()

    def _feed_piece(self, piece: bytes) -> None:
        was_partial, body_before, self._begun = self._partial, self._body_bytes, 0
        arriving = self._feed(piece)
        if not self._begun:
            self._framing += len(piece) - (self._body_bytes - body_before)
        elif self._begun == 1 and not was_partial:
            self._framing = len(piece) - self._body_bytes
        if arriving and self._framing > MAX_HEAD_BYTES + _FRAMING_PER_BODY_BYTE * self._body_bytes:
            self._refuse(HeaderTooLarge(f"a head has at most {MAX_HEAD_BYTES} bytes"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._deadlines.idle.pop(self, None)
        self._partial = True
        self._head_done = False
        self._begun += 1
        self._framing = 0
        self._body_bytes = 0
        self._special = []

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in SPECIAL:
            self._special.append((name, value))
            if name in forwarded.HEADERS:
                return
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self._is_plain():
            self._check()
        if self._has_certificate:
            self._identify()
        refusal = self._shed()
        if refusal is None:
            super().on_headers_complete()
        else:
            self.app = ProblemAnswer(refusal)
            super().on_headers_complete()
            self.app = self.config.loaded_app
        if self.expect_100_continue:
            # Whether the client still sends the body after a refusal cannot be known.
            self.cycle.keep_alive = False
        self._head_done = True
        self._held.append(HEAD_BYTES)
        self._in_flight.held += HEAD_BYTES
        # Trailers end here: they must not become header fields of a request that is under way (RFC 9110, 6.5.1).
        self.headers = []

    def _is_plain(self) -> bool:
        """Whether the head is as nearly all are: HTTP/1.1, in one piece, nothing special but Host, nobody waiting."""
        special = self._special
        return (
            len(special) == 1
            and special[0][0] == b"host"
            and self._begun > 0
            and len(self.headers) <= MAX_FIELDS
            and not self.pipeline
            and self.parser.get_http_version() == "1.1"
        )

    def _check(self) -> None:
        version = self.parser.get_http_version()
        check_head(version, len(self.headers), self._special)
        if not self._begun:  # in this piece: the head came in several
            check_head_size(self.url, self.headers)
        if len(self._special) > 1:
            check_upgrade(self.headers, self._special)
            self.expect_100_continue = expects_continue(version, self._special)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooManyRequests("too many requests wait on one connection", 1)

    def _identify(self) -> None:
        """Raises CertificateRefused, MalformedHttp."""
        if self._certificate_fault is not None:
            raise self._certificate_fault
        peer = self._identify_forwarded() if self._is_proxy else self._peer
        if peer is None:
            return
        if self._front.revoked.contains(peer.serial):
            raise CertificateRefused("the client certificate is revoked")
        if peer.not_after_s <= self._deadlines.now_s:
            raise CertificateRefused("the client certificate has expired")

    def _identify_forwarded(self) -> PeerCertificate | None:
        state: dict[str, Any] = self.scope["state"]
        peer = state["peer"] = self._front.proxies.client_of(self._special)
        address = forwarded.address_of(self._special)
        if address is not None:
            state["address"] = address_key(address)
        return peer

    def _shed(self) -> Problem | None:
        """What to answer instead of the application, the connection staying open."""
        refusal: Problem | None = None
        if self._in_flight.held >= self._in_flight.open_to_all:
            refusal = self._in_flight.shed(is_event=self.url.partition(b"?")[0].endswith(_EVENTS_PATH))
        if refusal is None:
            refusal = self._front.limits.address(self.scope["state"]["address"], self._deadlines.now_s)
        if refusal is not None:
            FRONT_REFUSALS.labels(refusal.slug).inc()
        return refusal

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if not self.cycle.response_complete:
            self._held[-1] += len(body)
            self._in_flight.held += len(body)
        super().on_body(body)
