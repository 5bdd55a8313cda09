"""Whether a port is free, and which one is."""

from __future__ import annotations

import socket

from infra.errors import PortTaken

LOOPBACK = "127.0.0.1"


def require_free(port: int, setting: str, part: str) -> None:
    """Check that ``part`` will be able to listen on ``port``.

    Raises:
        PortTaken: something listens there; names ``setting``, the variable that moves it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections that are still closing do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise PortTaken(port, setting, part) from None


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
