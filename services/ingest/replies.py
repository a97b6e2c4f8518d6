"""Every reply of the MX and of submission, and the tables from errors to replies.

The texts are ours and constant: what a client sent, the address of a mailbox or the text of an exception never comes
back in one. Codes follow RFC 5321 4.2 and 4.3.2 and RFC 4954, enhanced codes RFC 3463 and 5248. An error that nobody
thought of is temporary: the sender keeps the mail and comes again.
"""

from __future__ import annotations

from libs.runtime.errors import DeniedError, ExhaustedError, InvalidError, SealpostError

OK = "250 2.0.0 OK"
REPORT_OK = "250 2.0.0 Accepted"
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
TOO_MANY_PROOFS = "421 4.7.0 Too many wrong passwords from your address, please come again later"
REVOKED = "421 4.7.0 The password is not valid any more"
TOO_MANY_OF_ACCOUNT = "421 4.7.0 Too many connections of this account"
NO_TLS_NOW = "454 4.7.0 TLS is not available now"

SIGNED_IN = "235 2.7.0 Signed in"
SIGN_IN_LATER = "454 4.7.0 Cannot check the password now, please come again later"
TOO_MANY_MAILS = "450 4.7.1 Too many mails in a short time, please come again in a minute"

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

CANCELLED = "501 5.7.0 Cancelled"
NOT_A_PROOF = "501 5.5.2 Not what this mechanism sends"
UNKNOWN_MECHANISM = "504 5.5.4 Mechanism not offered"
PROOF_TOO_LONG = "500 5.5.6 Line too long"
SIGNED_IN_ALREADY = "503 5.5.1 Signed in already"
TLS_FIRST = "530 5.7.0 STARTTLS first"
SIGN_IN_FIRST = "530 5.7.0 AUTH first"
WRONG_PROOF = "535 5.7.8 Address or password wrong"
SIGN_IN_NEEDS_TLS = "538 5.7.11 STARTTLS first"

BAD_SENDER = "553 5.1.7 Not a sender's address"
BAD_RECIPIENT = "553 5.1.3 Not a recipient's address"
NEEDS_SMTPUTF8 = "553 5.6.7 This address needs SMTPUTF8"
UNKNOWN_RECIPIENT = "550 5.1.1 No such mailbox"
NOT_OURS = "550 5.7.1 Relaying denied"
TOO_LARGE = "552 5.3.4 The mail is too large"
MALFORMED = "550 5.6.0 Bare CR, bare LF or NUL in the mail; lines end with CRLF"
ONLY_REPORTS = "550 5.7.1 Only reports, which come from <>, are taken at this address"
PATH_FORGED = "550 5.7.1 Not a return path that was made here"
PATH_EXPIRED = "550 5.7.1 This return path has expired"
PATH_USED = "550 5.7.1 This return path has been used already"
LOOP = "554 5.4.6 Too many Received fields, this looks like a loop"
TOO_MANY_RESULTS = "554 5.6.0 Too many Authentication-Results fields"

NOT_YOUR_ADDRESS = "553 5.7.1 Not an address that this account may send with"
NOT_YOUR_AUTHOR = "550 5.7.1 The From field names an address that this account may not send with"
PAUSED = "550 5.7.1 Sending is paused for this account, see the notice in its mailbox"
DENIED = "550 5.7.1 This account may not send this mail"
NO_AUTHOR = "550 5.6.0 The mail has no From field"
BAD_AUTHOR = "550 5.6.0 The From field is malformed"
BAD_CONTENT = "550 5.6.0 The mail is malformed"
BAD_RECIPIENTS = "553 5.1.3 Not a recipient's address among the recipients"
RECIPIENTS_ARE_TOO_MANY = "554 5.5.3 Too many recipients"
PLAN_SPENT = "452 4.7.1 This is all that your plan sends in a day; there is more from midnight UTC"
PLAN_LACKS = "550 5.7.1 Your plan does not send mail; another one does, see Plan and usage on the page"
BILL_UNPAID = "550 5.7.1 A bill is unpaid, see Plan and usage on the page; mail still comes in"
SPENT_FOR_THE_DAY = "452 4.7.1 The recipients of a day are used up"
SPENT_FOR_THE_MINUTE = "450 4.7.1 Too many recipients in a short time, please come again in a minute"

_QUOTA = "quota"
# Reasons that the inbound path gives; an InvalidError of a service that it called is that service's or our fault.
_INVALID = {
    "loop": LOOP,
    "results": TOO_MANY_RESULTS,
    "return_path_forged": PATH_FORGED,
    "return_path_expired": PATH_EXPIRED,
    "return_path_used": PATH_USED,
}

# Reasons that delivery gives for a submission, by the class of the error.
_SUBMISSION: dict[type[SealpostError], dict[str, str]] = {
    DeniedError: {
        "sender_not_allowed": NOT_YOUR_ADDRESS,
        "from_not_allowed": NOT_YOUR_AUTHOR,
        "sending_paused": PAUSED,
    },
    InvalidError: {
        "from_missing": NO_AUTHOR,
        "from_malformed": BAD_AUTHOR,
        "content_malformed": BAD_CONTENT,
        "too_large": TOO_LARGE,
        "too_many_recipients": RECIPIENTS_ARE_TOO_MANY,
        "recipient_invalid": BAD_RECIPIENTS,
        "loop": LOOP,
    },
    ExhaustedError: {
        "recipients_per_day": SPENT_FOR_THE_DAY,
        "recipients_per_minute": SPENT_FOR_THE_MINUTE,
        "allowance_used": PLAN_SPENT,
        "plan_lacks": PLAN_LACKS,
        "read_only": BILL_UNPAID,
    },
}
# What delivery refuses for a reason without a reply of its own. An invalid call is our fault, and so temporary.
_SUBMISSION_ELSE: dict[type[SealpostError], str] = {DeniedError: DENIED, ExhaustedError: NO_ROOM}


def challenge(encoded: str = "") -> str:
    """Return the reply that asks for the next response of AUTH (RFC 4954 4), in base64."""
    return f"334 {encoded}"


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


def for_submission(error: BaseException) -> str:
    """Return the reply for a failure on submission; for good only where delivery has said what is wrong."""
    kind = type(error)
    if isinstance(error, SealpostError) and kind in _SUBMISSION:
        return _SUBMISSION[kind].get(error.reason) or _SUBMISSION_ELSE.get(kind, TRY_LATER)
    return TRY_LATER
