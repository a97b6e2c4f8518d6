"""Looks for canaries: in every encoding that mail, databases and programs are likely to leave them in.

One token begins all canaries of a run, so a few dozen byte strings stand for all of them: the token itself and what it
becomes in base64 at each alignment, in hexadecimal, in UTF-16 and so on. Base encodings depend on what stands before
and after; of each only the part is looked for that does not. Compressed streams are opened where their first bytes
show them.
"""

from __future__ import annotations

import base64
import bz2
import codecs
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STREAMS = {b"\x78\x01": "zlib", b"\x78\x9c": "zlib", b"\x78\xda": "zlib", b"\x1f\x8b\x08": "gzip"}
_FILES: dict[bytes, Callable[[bytes], bytes]] = {b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}
_INFLATED_BYTES = 64 * 1024
_ESCAPES = {
    "quoted-printable": "={:02X}",
    "percent": "%{:02X}",
    "json": "\\u{:04x}",
    "c": "\\x{:02x}",
    "html": "&#{};",
    "html hex": "&#x{:x};",
}


@dataclass(frozen=True)
class Leak:
    """A canary where none may be: the place, and how it was encoded."""

    place: str
    encoding: str
    around: bytes

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.place}: {self.encoding} ...{self.around!r}..."


def needles(token: str) -> dict[bytes, str]:
    """Return what `token` looks like in each encoding, with the encoding's name."""
    found: dict[bytes, str] = {}
    for case in (token, token.upper(), token.title()):
        for name, needle in _encodings(case):
            found.setdefault(needle, name)
    return found


def _encodings(text: str) -> Iterator[tuple[str, bytes]]:
    raw = text.encode()
    yield "raw", raw
    yield "reversed", raw[::-1]
    yield "rot13", codecs.encode(text, "rot13").encode()
    for codec in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        # Whole characters, without the zero bytes at the ends, which belong to the neighbours.
        yield codec, text.encode(codec).strip(b"\0")
    for name, form in _ESCAPES.items():
        yield name, "".join(form.format(byte) for byte in raw).encode()
        yield name, "".join(form.format(byte) for byte in raw).lower().encode()
    for source, data in (("", raw), (" of reversed", raw[::-1]), (" of utf-16", text.encode("utf-16-le"))):
        yield f"hex{source}", data.hex().encode()
        yield f"hex{source}", data.hex().upper().encode()
        for offset, piece in _based(data, base64.b64encode, 3, 4):
            yield f"base64 at {offset}{source}", piece
            yield f"base64url at {offset}{source}", piece.translate(bytes.maketrans(b"+/", b"-_"))
            yield f"reversed base64 at {offset}{source}", piece[::-1]
    for offset, piece in _based(raw, base64.b32encode, 5, 8):
        yield f"base32 at {offset}", piece
        yield f"base32 at {offset}", piece.lower()
    for offset, piece in _based(raw, base64.b85encode, 4, 5):
        yield f"base85 at {offset}", piece
    for offset, piece in _based(raw, base64.a85encode, 4, 5):
        yield f"ascii85 at {offset}", piece
    for outer in range(3):
        for inner, piece in _based(raw, base64.b64encode, 3, 4):
            yield f"base64 of base64 at {outer}.{inner}", _stable(piece, base64.b64encode, outer, (3, 4))


def _based(data: bytes, encode: Callable[[bytes], bytes], group: int, letters: int) -> Iterator[tuple[int, bytes]]:
    for offset in range(group):
        yield offset, _stable(data, encode, offset, (group, letters))


def _stable(data: bytes, encode: Callable[[bytes], bytes], offset: int, sizes: tuple[int, int]) -> bytes:
    """Return the part of the encoding of `data` at `offset` that is the same whatever stands around it."""
    group, letters = sizes
    skip = -offset % group
    whole = data[skip : skip + (len(data) - skip) // group * group]
    return encode(whole)[: len(whole) // group * letters]


class Scanner:
    """Looks for the canaries of one run, and for whatever else must not be found."""

    def __init__(self, token: str, more: Iterable[str] = ()) -> None:
        """Take the token, and texts that are looked for as they are (an address of the client)."""
        self._needles = needles(token) | {text.encode(): "as it is" for text in more}
        self.files = 0
        self.bytes = 0

    def scan(self, *roots: Path) -> list[Leak]:
        """Return what is found in the files at and below `roots`, in their names and in compressed streams."""
        return [leak for root in roots for path in _files(root) for leak in self._scan_file(path)]

    def scan_bytes(self, place: str, data: bytes) -> list[Leak]:
        """Return what is found in `data`; one leak for each encoding."""
        leaks = self._find(place, data)
        for magic, kind in _STREAMS.items():
            position = data.find(magic)
            while position >= 0:
                leaks += self._find(f"{place} ({kind} stream)", _inflate(data, position))
                position = data.find(magic, position + 1)
        for magic, decompress in _FILES.items():
            if data[: len(magic)] == magic:
                with suppress(OSError, ValueError, EOFError, lzma.LZMAError):
                    leaks += self._find(f"{place} (compressed)", decompress(data))
        return leaks

    def _find(self, place: str, data: bytes) -> list[Leak]:
        leaks = []
        for needle, name in self._needles.items():
            position = data.find(needle)
            if position >= 0:
                leaks.append(Leak(place, name, data[max(0, position - 24) : position + len(needle) + 24]))
        return leaks

    def _scan_file(self, path: Path) -> list[Leak]:
        leaks = self._find(f"name of {path}", os.fsencode(path.name))
        # Read, not mapped: files of a platform that runs may be cut while they are looked at.
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            self.files += 1
            self.bytes += len(data)
            leaks += self.scan_bytes(str(path), data)
        return leaks


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _inflate(data: bytes, position: int) -> bytes:
    """Return the beginning of what a stream at `position` holds, if there is one."""
    decompressor = zlib.decompressobj(wbits=47)  # zlib or gzip, by its header
    with suppress(zlib.error):
        return decompressor.decompress(data[position : position + _INFLATED_BYTES], _INFLATED_BYTES)
    return b""
