"""Every reply of the MX, and the one table from errors to replies.

The texts are ours and constant: what a client sent, the address of a mailbox or the text of an exception never comes
back in one. Codes follow RFC 5321 4.2 and 4.3.2, enhanced codes RFC 3463 and 5248. An error that nobody thought of is
temporary: the sender keeps the mail and comes again.
"""

from __future__ import annotations

from libs.runtime.errors import ExhaustedError, InvalidError

OK = "250 2.0.0 OK"
SENDER_OK = "250 2.1.0 OK"
RECIPIENT_OK = "250 2.1.5 OK"
CANNOT_VERIFY = "252 2.5.0 Cannot verify; send the mail to find out"
GO_AHEAD = "354 End data with <CR><LF>.<CR><LF>"
START_TLS = "220 2.0.0 Ready to start TLS"
BYE = "221 2.0.0 Bye"
HELP = "214 2.0.0 RFC 5321; EHLO lists the extensions"

IDLE = "421 4.4.2 Idle for too long"
SESSION_OVER = "421 4.4.2 The session has lasted too long"
TOO_SLOW = "421 4.4.2 The mail took too long"
CLOSING = "421 4.3.2 Shutting down, please come again"
BUSY = "421 4.3.2 Too many connections, please come again later"
TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections from your address"
TOO_FAST = "421 4.7.0 Too many connections from your address in a short time"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors"
TOO_MANY_UNKNOWN = "421 4.7.0 Too many unknown recipients"
NO_TLS_NOW = "454 4.7.0 TLS is not available now"

NO_ROOM = "452 4.3.1 No room for this mail now, please come again later"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"
MAILBOX_FULL = "452 4.2.2 A mailbox is full"
SUSPENDED = "450 4.2.1 The mailbox is not available now"
TRY_LATER = "451 4.3.0 Not now, please come again later"

BAD_BYTES = "500 5.5.2 Bare CR, bare LF or NUL; lines end with CRLF"
LINE_TOO_LONG = "500 5.5.2 Line too long"
UNKNOWN_COMMAND = "500 5.5.2 Command not recognised"
NOT_IMPLEMENTED = "502 5.5.1 Not implemented"
NO_ARGUMENT = "501 5.5.4 This command takes no argument"
BAD_ARGUMENT = "501 5.5.4 Syntax error in the argument"
BAD_PARAMETER = "501 5.5.4 Syntax error in a parameter"
UNKNOWN_PARAMETER = "555 5.5.4 Parameter not recognised"
HELLO_FIRST = "503 5.5.1 EHLO first"
MAIL_FIRST = "503 5.5.1 MAIL first"
ONE_MAIL_AT_A_TIME = "503 5.5.1 MAIL was given already"
RECIPIENT_FIRST = "503 5.5.1 RCPT first"
TLS_ALREADY = "503 5.5.1 TLS is active already"
BEFORE_GO_AHEAD = "503 5.5.0 Data before 354"

BAD_SENDER = "553 5.1.7 Not a sender's address"
BAD_RECIPIENT = "553 5.1.3 Not a recipient's address"
NEEDS_SMTPUTF8 = "553 5.6.7 This address needs SMTPUTF8"
UNKNOWN_RECIPIENT = "550 5.1.1 No such mailbox"
NOT_OURS = "550 5.7.1 Relaying denied"
TOO_LARGE = "552 5.3.4 The mail is too large"
MALFORMED = "550 5.6.0 Bare CR, bare LF or NUL in the mail; lines end with CRLF"
LOOP = "554 5.4.6 Too many Received fields, this looks like a loop"
TOO_MANY_RESULTS = "554 5.6.0 Too many Authentication-Results fields"

_QUOTA = "quota"
# Reasons that the inbound path gives; an InvalidError of a service that it called is that service's or our fault.
_INVALID = {"loop": LOOP, "results": TOO_MANY_RESULTS}


def accepted(delivery_id: str) -> str:
    """Return the reply that takes over responsibility for a mail (RFC 5321 6.1)."""
    return f"250 2.0.0 Accepted as {delivery_id}"


def for_error(error: BaseException) -> str:
    """Return the reply for a failure between the first command and the 250; temporary but for what a mail itself is."""
    if isinstance(error, InvalidError):
        return _INVALID.get(error.reason, TRY_LATER)
    if isinstance(error, ExhaustedError):
        return MAILBOX_FULL if error.reason.startswith(_QUOTA) else NO_ROOM
    return TRY_LATER
