"""Readiness by systemd's convention (sd_notify(3)): a part sends ``READY=1`` to the datagram socket in ``NOTIFY_SOCKET``.

So a part tells the supervisor, systemd and any other that keeps the convention in the same way, without knowing which.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "NOTIFY_SOCKET"
READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell whoever started this process; nothing where nobody asked for it or listens."""
    address = environ.get(VARIABLE)
    if not address:
        return
    # A leading "@" stands for the zero byte of Linux's abstract socket names.
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.connect(address)
        sender.send(state.encode())


class Inbox(asyncio.DatagramProtocol):
    """The listening end for one child. ``ready`` is set by its ``READY=1``."""

    def __init__(self, path: Path) -> None:
        """``path``: where the socket will stand; under about 100 bytes, a limit of Unix sockets."""
        self.path = path
        self.ready = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: the socket cannot be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.setblocking(False)
        self.path.unlink(missing_ok=True)
        listener.bind(str(self.path))
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=listener)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._transport:
            self._transport.close()
        self.path.unlink(missing_ok=True)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One message: lines of ``NAME=value``."""
        if READY in data.decode(errors="replace").splitlines():
            self.ready.set()
