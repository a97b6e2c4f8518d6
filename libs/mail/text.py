"""Turns bytes of a header field or a part into text that is safe to carry on, whatever they are.

Encoded words (RFC 2047) decode to anything, CR and LF included, and so nothing decoded is used raw: control characters,
line and paragraph separators, bidirectional overrides and lone surrogates become spaces. Charsets are a list of our
own: Python knows codecs that are slow on purpose-made input (punycode), execute escapes or are no charsets at all.
Everything works on a bounded prefix and takes linear time.
"""

from __future__ import annotations

import binascii
import re

MAX_FIELD_BYTES = 8192

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_CHARSET = re.compile(
    r"(utf-?8|us-ascii|ascii|iso[-_]?8859[-_]?(1[0-6]?|[2-9])|latin-?[1-9]|(windows-|cp)125[0-8]|cp(437|85[0-8]|866|874|932"
    r"|949|950)|koi8-[rtu]|gb2312|gbk|gb18030|big5(-?hkscs)?|euc-?(jp|kr)|shift[-_]?jis|iso-2022-(jp|kr)|tis-620"
    r"|utf-?16(le|be)?|macintosh|ks_c_5601-1987)\Z",
    re.IGNORECASE,
)
_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([BbQq])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"\?=[ \t]+(?==\?)")
_BASE64_JUNK = re.compile(rb"[^A-Za-z0-9+/]+")


def clean(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, controls replaced by spaces, outer white space taken off."""
    # Cut first: looking at characters that nobody will see is most of the work. The margin is for what is stripped.
    return _CONTROLS.sub(" ", text[: 2 * limit]).strip()[:limit]


def unfold(value: bytes) -> str:
    """Return a field's value as text, its folding taken out (RFC 5322 2.2.3); bytes above ASCII are read as UTF-8."""
    return value[:MAX_FIELD_BYTES].replace(b"\r\n", b"").decode("utf-8", "replace")


def decode_words(text: str) -> str:
    """Return `text` with its encoded words decoded; what is not decodable stays as it is. Not clean: see `clean`."""
    if "=?" not in text:
        return text
    joined = _BETWEEN_WORDS.sub("?=", text)
    decoded: list[str] = []
    position = 0
    # Words of one charset that touch are decoded together: senders cut multi-byte characters in two.
    pending, charset = b"", ""
    for match in _WORD.finditer(joined):
        word_charset, data = match[1].lower(), _word_bytes(match[2], match[3])
        if match.start() != position or word_charset != charset:
            decoded += [decode(pending, charset), joined[position : match.start()]]
            pending, charset = b"", word_charset
        pending += data
        position = match.end()
    return "".join([*decoded, decode(pending, charset), joined[position:]])


def decode(data: bytes, charset: str) -> str:
    """Return `data` as text; a charset that is not on the list is taken for UTF-8."""
    if not data:
        return ""
    name = charset if _CHARSET.match(charset) else "utf-8"
    try:
        return data.decode(name, "replace")
    except (LookupError, UnicodeError):
        return data.decode("utf-8", "replace")


def decode_base64(data: bytes) -> bytes:
    """Return what `data` encodes, leaving out what is no base64 and an incomplete end."""
    digits = _BASE64_JUNK.sub(b"", data)
    return binascii.a2b_base64(digits[: len(digits) // 4 * 4] + _padded(digits[len(digits) // 4 * 4 :]))


def decode_quoted(data: bytes) -> bytes:
    """Return what quoted-printable `data` encodes."""
    return binascii.a2b_qp(data)


def _padded(digits: bytes) -> bytes:
    return b"" if len(digits) < 2 else digits + b"=" * (4 - len(digits))


def _word_bytes(encoding: str, payload: str) -> bytes:
    data = payload.encode("utf-8", "replace")
    return decode_base64(data) if encoding in "Bb" else binascii.a2b_qp(data, header=True)
