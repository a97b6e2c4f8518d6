"""Makes a mail of its parts, and reads the recipients of one that comes whole.

Python's email package makes the body: text, HTML, attachments. The header is written here, field by field, for that
package has been wrong about quoting in folded addresses more than once, and a display name must never become an
address. No control character passes in anything that ends up in a header.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP

from libs.mail.addresses import PathError, read_path
from libs.mail.fields import Fields, begins_with_field, block_end, read_addresses
from libs.runtime.errors import InvalidError
from services.gateway.http.relay_models import MOST_RECIPIENTS, Attachment, SendIn

_MAILBOX = re.compile(r"(?:(?P<name>[^<>]*)<(?P<angle>[^<>\s]+)>|(?P<bare>[^<>\s]+))\Z")
_NAME = re.compile(r"[!-9;-~]+\Z")
_TYPE = re.compile(r"(?P<main>[a-z0-9][a-z0-9.+-]*)/(?P<sub>[a-z0-9][a-z0-9!#$&^_.+-]*)\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*\Z")
# What the mail is made of, what delivery writes, what says where a mail has been.
_RESERVED = re.compile(
    r"(?:from|to|cc|bcc|sender|reply-to|subject|date|message-id|mime-version|content-.*|resent-.*|return-path"
    r"|received|delivered-to|dkim-signature|arc-.*|authentication-results|list-unsubscribe-post|autocrypt)\Z"
)
_CRLF = "\r\n"
_WIDTH = 76
_MAX_LINE = 990
_MAX_HEADER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Composed:
    """A mail and its envelope."""

    mail_from: str
    recipients: Sequence[str]
    content: bytes
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class _Mailbox:
    name: str
    address: str

    @property
    def text(self) -> str:
        """The mailbox as it stands in a field (RFC 5322 3.4), a non-ASCII name as encoded words (RFC 2047 5)."""
        if not self.name:
            return self.address
        if not self.name.isascii():
            words = Header(self.name, "utf-8", maxlinelen=_WIDTH - 12).encode(linesep=_CRLF)
            return f"{words} <{self.address}>"
        if _PLAIN_NAME.match(self.name) and "=?" not in self.name:
            return f"{self.name} <{self.address}>"
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.address}>'


def compose(given: SendIn) -> Composed:
    """Return the mail that these parts make.

    Raises: InvalidError("control_characters" | "recipient_invalid" | "from_malformed" | "too_many_recipients" |
    "header_not_allowed" | "attachment_type").
    """
    try:
        sender = _mailbox(given.from_)
    except InvalidError as error:
        raise InvalidError("from_malformed" if error.reason == "recipient_invalid" else error.reason) from error
    to, cc, bcc, reply_to = (
        [_mailbox(one) for one in some] for some in (given.to, given.cc, given.bcc, given.reply_to)
    )
    recipients = list(dict.fromkeys(one.address for one in (*to, *cc, *bcc)))
    if not recipients:
        raise InvalidError("recipient_missing")
    if len(recipients) > MOST_RECIPIENTS:
        raise InvalidError("too_many_recipients")
    fields = [
        _addresses("From", [sender]),
        _addresses("To", to) if to else "To: undisclosed-recipients:;",
        *([_addresses("Cc", cc)] if cc else []),
        *([_addresses("Reply-To", reply_to)] if reply_to else []),
        _text("Subject", given.subject),
        *(_header(name, value) for name, value in given.headers.items()),
    ]
    head = "".join(f"{field}\r\n" for field in fields).encode()
    named = [sender.address, *recipients, *(one.address for one in reply_to)]
    wide = not all(address.isascii() for address in named)
    return Composed(sender.address, recipients, head + _body(given), wide)


def envelope_of(content: bytes) -> Composed:
    """Return a whole mail with the envelope that its From, To, Cc and Bcc ask for.

    Raises: InvalidError("content_malformed" | "from_missing" | "from_malformed" | "recipient_invalid" |
    "recipient_missing" | "too_many_recipients").
    """
    whole = with_crlf(content)
    end = block_end(whole, 0, len(whole))
    if not begins_with_field(whole) or end > _MAX_HEADER_BYTES:
        raise InvalidError("content_malformed")
    fields = Fields(whole[:end])
    senders = _listed(fields, b"sender") or _listed(fields, b"from")
    if not senders:
        raise InvalidError("from_missing")
    if not _is_address(senders[0]):
        raise InvalidError("from_malformed")
    recipients = list(dict.fromkeys(one for name in (b"to", b"cc", b"bcc") for one in _listed(fields, name)))
    if not recipients:
        raise InvalidError("recipient_missing")
    if len(recipients) > MOST_RECIPIENTS:
        raise InvalidError("too_many_recipients")
    if not all(map(_is_address, recipients)):
        raise InvalidError("recipient_invalid")
    wide = not all(address.isascii() for address in (senders[0], *recipients))
    return Composed(senders[0], recipients, whole, wide)


def with_crlf(content: bytes) -> bytes:
    """Return a mail with CRLF at the ends of its lines, if it has LF alone; a mixture is delivery's to refuse."""
    return content if b"\r" in content else content.replace(b"\n", b"\r\n")


def refuse_controls(text: str, allowed: str = "") -> None:
    """Raise InvalidError("control_characters") if there is one, or a separator of lines, that is not allowed."""
    if not text.isascii() or not text.isprintable():
        for character in text:
            if character not in allowed and unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
                raise InvalidError("control_characters")


def _mailbox(text: str) -> _Mailbox:
    refuse_controls(text)
    match = _MAILBOX.match(text.strip())
    if match is None:
        raise InvalidError("recipient_invalid")
    address = match["angle"] or match["bare"]
    # Quoted local parts are read differently by different programs; nobody needs them here.
    if address.startswith('"') or not _is_address(address):
        raise InvalidError("recipient_invalid")
    name = (match["name"] or "").strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return _Mailbox(name, address)


def _is_address(address: str) -> bool:
    try:
        path = read_path(f"TO:<{address}>", "TO:")
    except PathError:
        return False
    return path.address == address and bool(path.domain)


def _listed(fields: Fields, name: bytes) -> list[str]:
    """Return the addresses of all fields of a name, one more than may be at most."""
    most = MOST_RECIPIENTS + 1
    # libs.mail.text.unfold cuts long fields, and an address that is cut may be somebody else's.
    values = [value.replace(b"\r\n", b"").decode("utf-8", "replace") for value in fields.all(name)]
    return [one.address for value in values for one in read_addresses(value, most)][:most]


def _addresses(name: str, mailboxes: Sequence[_Mailbox]) -> str:
    # One to a line: none is folded in its middle.
    return f"{name}: " + ",\r\n ".join(one.text for one in mailboxes)


def _text(name: str, value: str) -> str:
    refuse_controls(value)
    # What looks like an encoded word would be read as one.
    if value.isascii() and "=?" not in value and max(map(len, value.split(" ")), default=0) < _MAX_LINE:
        return _CRLF.join(_folded(f"{name}: {value}"))
    return f"{name}: " + Header(value, "utf-8", maxlinelen=_WIDTH, header_name=name).encode(linesep=_CRLF)


def _folded(line: str) -> Iterable[str]:
    """Yield the pieces of a line, cut before single spaces so that unfolding gives the line back."""
    while len(line) > _WIDTH:
        cut = line.rfind(" ", 1, _WIDTH)
        # A line of white space alone would end the header for some readers.
        while cut > 0 and not line[cut:].strip():
            cut = line.rfind(" ", 1, cut)
        if cut <= 0 or not line[:cut].strip() or line[:cut].endswith(":"):
            cut = line.find(" ", _WIDTH)
            if cut < 0 or not line[cut:].strip():
                break
        yield line[:cut]
        line = line[cut:]
    yield line


def _header(name: str, value: str) -> str:
    if not _NAME.match(name) or _RESERVED.match(name.lower()):
        raise InvalidError("header_not_allowed")
    return _text(name, value)


def _body(given: SendIn) -> bytes:
    """Return the MIME fields, an empty line, and the body."""
    message = EmailMessage(policy=SMTP)
    for text in (given.text, given.html):
        refuse_controls(text or "", "\r\n\t\f")
    if given.html is None or given.text is not None:
        message.set_content(_lines(given.text or ""), cte="quoted-printable")
    if given.html is not None and given.text is not None:
        message.add_alternative(_lines(given.html), subtype="html", cte="quoted-printable")
    elif given.html is not None:
        message.set_content(_lines(given.html), subtype="html", cte="quoted-printable")
    for attachment in given.attachments:
        _attach(message, attachment)
    return message.as_bytes()


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    refuse_controls(attachment.name)
    kind = _TYPE.match(attachment.type.lower())
    if kind is None or kind["main"] in ("multipart", "message"):
        raise InvalidError("attachment_type")
    message.add_attachment(attachment.content, maintype=kind["main"], subtype=kind["sub"], filename=attachment.name)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
