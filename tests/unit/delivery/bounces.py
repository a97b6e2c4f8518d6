"""Reports as servers of the world write them."""

from __future__ import annotations


def dsn(*groups: str, kind: str = "message/delivery-status", encoding: str = "7bit", head: str = "") -> bytes:
    """Return a report of RFC 3464 with these groups of fields for recipients, lines parted by LF."""
    body = "\n\n".join(["Reporting-MTA: dns; mx.example.net\nArrival-Date: Sun, 22 Nov 2026 17:00:00 +0000", *groups])
    text = (
        "From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: b-x@bounces.sealpost.test\n"
        f"Subject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n{head}"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B=_1"\n\n'
        "This is a MIME-encapsulated message.\n\n--B=_1\nContent-Type: text/plain; charset=us-ascii\n\n"
        "I'm sorry to have to inform you that your message could not be delivered.\n\n--B=_1\n"
        f"Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n{body}\n\n--B=_1\n"
        "Content-Type: message/rfc822\n\nFrom: ada@sealpost.test\nSubject: Hello\n\nBody\n\n--B=_1--\n"
    )
    return text.replace("\n", "\r\n").encode()


def group(
    address: str = "bob@example.net",
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <bob@example.net>: Recipient address rejected",
) -> str:
    """Return the fields for one recipient."""
    return (
        f"Final-Recipient: rfc822; {address}\nOriginal-Recipient: rfc822;{address}\nAction: {action}\n"
        f"Status: {status}\nRemote-MTA: dns; mailbox.example.net\nDiagnostic-Code: {diagnostic}"
    )


def complaint(kind: str = "abuse", about: str = "Original-Rcpt-To: <bob@example.net>\n") -> bytes:
    """Return a report of RFC 5965."""
    text = (
        "From: <abusedesk@example.net>\nTo: <b-x@bounces.sealpost.test>\nSubject: FW: Earn money\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="part1"\n\n--part1\n'
        'Content-Type: text/plain; charset="US-ASCII"\n\nThis is an email abuse report.\n\n--part1\n'
        f"Content-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n"
        f"{about}Source-IP: 192.0.2.1\n\n--part1\nContent-Type: message/rfc822\n\nFrom: <ada@sealpost.test>\n\nSpam\n"
        "--part1--\n"
    )
    return text.replace("\n", "\r\n").encode()


EXIM = (
    b"From: Mail Delivery System <Mailer-Daemon@mx.example.net>\r\nTo: b-x@bounces.sealpost.test\r\n"
    b"X-Failed-Recipients: bob@example.net\r\nAuto-Submitted: auto-replied\r\n"
    b"Subject: Mail delivery failed: returning message to sender\r\n\r\n"
    b"This message was created automatically by mail delivery software.\r\n\r\n"
    b"A message that you sent could not be delivered to one or more of its\r\nrecipients."
    b" This is a permanent error.\r\n"
    b"\r\n  bob@example.net\r\n    SMTP error from remote mail server after RCPT TO:<bob@example.net>:\r\n"
    b"    550 5.1.1 unknown user\r\n\r\n------ This is a copy of the message, including all the headers. ------\r\n"
    b"\r\nSubject: 5.7.1 is what my bounce said\r\n"
)
QMAIL = (
    b"From: MAILER-DAEMON@mx.example.net\r\nTo: b-x@bounces.sealpost.test\r\nSubject: failure notice\r\n\r\n"
    b"Hi. This is the qmail-send program at mx.example.net.\r\n"
    b"I'm afraid I wasn't able to deliver your message to the following addresses.\r\n\r\n<bob@example.net>:\r\n"
    b"Sorry, no mailbox here by that name. (#5.1.1)\r\n\r\n--- Below this line is a copy of the message.\r\n"
)
AWAY = (
    b"From: Bob <bob@example.net>\r\nTo: b-x@bounces.sealpost.test\r\nSubject: Out of office\r\n"
    b"Auto-Submitted: auto-replied (vacation)\r\n\r\nI am away. Is 5.1.1 an error?\r\n"
)
