"""A server on loopback that nobody should ever talk to; it remembers who did."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Canary:
    """Accepts connections and keeps the first line of each; a bare connection (preconnect) counts as well."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._stopped = threading.Event()
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the server."""
        self._stopped.set()
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.lines.append("(connected)")
            threading.Thread(target=self._converse, args=(connection, len(self.lines) - 1), daemon=True).start()

    def _converse(self, connection: socket.socket, at: int) -> None:
        with connection:
            connection.settimeout(1)
            try:
                line = connection.recv(4096).split(b"\r\n", 1)[0].decode("latin-1")
            except OSError:
                return
            if line and at < len(self.lines):
                self.lines[at] = line
            self._answer(connection)

    @staticmethod
    def _answer(connection: socket.socket) -> None:
        try:
            connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        except OSError:
            return


@contextmanager
def canary() -> Iterator[Canary]:
    """Run a canary server."""
    server = Canary()
    try:
        yield server
    finally:
        server.stop()
