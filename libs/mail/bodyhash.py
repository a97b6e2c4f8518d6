"""The body hash of DKIM (RFC 6376 3.4, 3.7), in blocks.

dkimpy makes three to four copies of a body and takes it apart into lines; for a mail of 50 MB that is more memory than
the whole process may have. Here the canonical form is made and hashed block by block. White space and line ends at the
end of a block count only if text follows, so they are remembered as numbers until it does. A body is empty or whole
lines, as everything that came over SMTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

_BLOCK = 256 * 1024
_END = b"\r\n"

ALGORITHMS = {b"rsa-sha256": hashlib.sha256, b"ed25519-sha256": hashlib.sha256}


def body_hash(content: bytes | bytearray, start: int, canonicalization: bytes, algorithm: bytes) -> tuple[bytes, int]:
    """Return the digest of the canonical body content[start:], and the length of that form in bytes.

    `canonicalization` is b"simple" or b"relaxed", `algorithm` one of ALGORITHMS; KeyError for anything else.
    """
    form = {b"simple": simple, b"relaxed": relaxed}[canonicalization]
    digest = ALGORITHMS[algorithm]()
    length = 0
    for piece in form(content, start):
        digest.update(piece)
        length += len(piece)
    return digest.digest(), length


def simple(content: bytes | bytearray, start: int) -> Iterator[bytes]:
    """Yield the body without empty lines at its end, and one CRLF."""
    end = len(content)
    while end > start:
        block_start = max(start, end - _BLOCK)
        left = len(bytes(content[block_start:end]).rstrip(_END))
        end = block_start + left
        if left:
            break
    for position in range(start, end, _BLOCK):
        yield bytes(content[position : min(end, position + _BLOCK)])
    yield _END


def relaxed(content: bytes | bytearray, start: int) -> Iterator[bytes]:
    """Yield the body with white space inside lines reduced, none at the end of lines, no empty lines at its end."""
    line_ends, space, any_text = 0, False, False
    for block in _blocks(content, start):
        data = (b" " + block if space else block).replace(b"\t", b" ")
        while b"  " in data:
            data = data.replace(b"  ", b" ")
        data = data.replace(b" \r\n", _END)
        text = data.rstrip(b" \r\n")
        tail = data[len(text) :]
        if text:
            yield from _repeated(line_ends)
            yield text
            line_ends, any_text = 0, True
        line_ends += tail.count(_END)
        space = tail.endswith(b" ")
    if any_text:
        yield _END


def _blocks(content: bytes | bytearray, start: int) -> Iterator[bytes]:
    end = len(content)
    while start < end:
        stop = min(end, start + _BLOCK)
        # A CRLF is never cut in two.
        stop += stop < end and content[stop - 1] == 0x0D
        yield bytes(content[start:stop])
        start = stop


def _repeated(line_ends: int) -> Iterator[bytes]:
    most = _BLOCK // len(_END)
    for done in range(0, line_ends, most):
        yield _END * min(most, line_ends - done)
