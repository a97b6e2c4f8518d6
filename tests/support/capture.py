"""What the processes of the platform tell each other, written down on the side of the server.

    SEALED_CAPTURE=/some/folder python -m tests.support.capture platform

starts the platform as `python -m services` does, but each service by this module, which taps two places before the
service runs as it is: where libs.rpc wraps a handler (the bytes of every request and response, of streams too, and what
travels beside them), and where the NATS client puts a message on the wire (JetStream's own requests among them). Bytes
are kept as they travelled, one file for each process, method and direction, so that a search says where it found what.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.support.altered import replace, run
from tests.support.platform import RunningPlatform, running_platform

VARIABLE = "SEALED_CAPTURE"
# Between the parts of a file's name; no method and no service has it.
_SEP = "~"


@dataclass(frozen=True)
class Capture:
    """What was written down so far."""

    folder: Path

    def rpc(self, method: str, direction: str) -> bytes:
        """Return all that was sent for `method` ("package.Service/Method"): "request", "response", "told", "failed"."""
        return self._read(_SEP.join(("rpc", _file_name(method), direction, "*")))

    def nats(self) -> bytes:
        """Return every NATS message that was published: subject, headers, payload."""
        return self._read(_SEP.join(("nats", "*")))

    def files(self, kind: str) -> list[Path]:
        """Return the files of a kind: "rpc" or "nats"."""
        return sorted(self.folder.glob(f"{kind}{_SEP}*"))

    def _read(self, pattern: str) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob(pattern)))


@contextmanager
def captured_platform(home: Path, folder: Path) -> Iterator[tuple[RunningPlatform, Capture]]:
    """Start a platform in `home` whose processes write down in `folder`, outside of it, what they tell each other."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        with running_platform(home, program=(__name__, "platform")) as platform:
            yield platform, Capture(folder)


def metrics_urls(platform: RunningPlatform) -> dict[str, str]:
    """Return where each service shows its metrics, as the platform has printed it."""
    return dict(re.findall(r"^([a-z]+) metrics +(http\S+)", "\n".join(platform.output), re.MULTILINE))


class _Recorder:
    """Appends to files of this process; what was written is in the file at once."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder = folder
        self._owner = f"{service}-{os.getpid()}"
        self._open: dict[tuple[str, ...], BinaryIO] = {}

    def write(self, *place: str, data: bytes) -> None:
        """Append one message."""
        file = self._open.get(place)
        if file is None:
            file = self._open[place] = (self._folder / _SEP.join((*place, self._owner))).open("ab")
        file.write(data + b"\n")
        file.flush()


def _tap_rpc(recorder: _Recorder) -> None:
    from libs.rpc import status
    from libs.rpc.interceptors import Guard

    wrap, admit, trailing = Guard.wrap, Guard.admit, status.trailing_metadata

    def keeping(change: Callable[[Any], Any], method: str, direction: str) -> Callable[[Any], Any]:
        def keep(message: Any) -> Any:
            changed = change(message)
            data = message if direction == "request" else changed
            recorder.write("rpc", _file_name(method), direction, data=data)
            return changed

        return keep

    def wrap_tapped(self: Guard, method: str, handler: Any, rule: Any) -> Any:
        tapped = handler._replace(
            request_deserializer=keeping(handler.request_deserializer, method, "request"),
            response_serializer=keeping(handler.response_serializer, method, "response"),
        )
        return wrap(self, method, tapped, rule)

    def admit_tapped(self: Guard, method: str, context: Any) -> None:
        recorder.write("rpc", _file_name(method), "told", data=repr(tuple(context.invocation_metadata())).encode())
        admit(self, method, context)

    def trailing_tapped(error: Any) -> Any:
        told = trailing(error)
        recorder.write("rpc", "any", "failed", data=repr(told).encode())
        return told

    replace(Guard, "wrap", wrap_tapped)
    replace(Guard, "admit", admit_tapped)
    replace(status, "trailing_metadata", trailing_tapped)


def tap_nats(folder: Path, role: str) -> None:
    """Write down in `folder` what this process publishes, as Capture reads it."""
    _tap_nats(_Recorder(folder, role))


def _tap_nats(recorder: _Recorder) -> None:
    from nats.aio.client import Client

    send = vars(Client)["_send_publish"]

    async def send_tapped(self: Client, subject: str, reply: str, payload: bytes, size: int, headers: Any) -> None:
        recorder.write("nats", data=b"\n".join((subject.encode(), reply.encode(), repr(headers).encode(), payload)))
        await send(self, subject, reply, payload, size, headers)

    replace(Client, "_send_publish", send_tapped)


def _file_name(method: str) -> str:
    return method.strip("/").replace("/", ".")


def _tap(role: str) -> None:
    recorder = _Recorder(Path(os.environ[VARIABLE]), role)
    _tap_rpc(recorder)
    _tap_nats(recorder)


if __name__ == "__main__":
    sys.exit(run(__spec__.name, _tap))
