"""Mails as people get them, for the flow tests and their screenshots."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP

# One pixel, so that a mail can bring a picture of its own.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

NEWSLETTER = """<!doctype html><html><head><style>
 body { background: #f2efe8 }
 .box { max-width: 560px; margin: 0 auto; padding: 28px; background: #ffffff; border-radius: 8px }
 h1 { font-size: 24px; color: #24443c } .lead { color: #555555; line-height: 1.6 }
 .cta { display: inline-block; padding: 12px 22px; border-radius: 6px; background: #24443c; color: #ffffff }
 @media (max-width: 480px) { .box { padding: 16px } }
</style></head><body bgcolor="#f2efe8"><div class="box">
 <img src="https://cdn.garden.example/banner.jpg" alt="The garden in November" width="560">
 <h1>What to plant before the frost</h1>
 <p class="lead">Garlic, broad beans and bare-root roses go into the ground this week. Water once, then wait.</p>
 <p><a class="cta" href="https://garden.example/november?id=4711">Read the list</a></p>
 <p>Also: <a href="https://xn--80ak6aa92e.com/login">https://apple.com/login</a></p>
 <img src="cid:leaf@garden.example" alt="A leaf" width="48" height="48">
 <img src="https://track.garden.example/open.gif?u=8842" width="1" height="1">
</div></body></html>"""


def text(sender: str, subject: str, body: str, auth: str = "none none none", to: str = "ada@sealpost.test") -> bytes:
    """Return a plain mail; `auth` is what the fake gateway pretends that SPF, DKIM and DMARC gave."""
    mail = _mail(sender, subject, auth, to)
    mail.set_content(body)
    return mail.as_bytes(policy=SMTP)


def newsletter(to: str = "ada@sealpost.test") -> bytes:
    """Return HTML with a picture of its own, a remote one, a tracker and a link that pretends."""
    mail = _mail("The Garden <news@garden.example>", "What to plant before the frost", "pass pass pass", to)
    mail.set_content("Garlic, broad beans and bare-root roses go into the ground this week.")
    mail.add_alternative(NEWSLETTER, subtype="html")
    html = mail.get_payload()[1]  # type: ignore[index]
    html.add_related(PNG, "image", "png", cid="<leaf@garden.example>")  # type: ignore[union-attr]
    return mail.as_bytes(policy=SMTP)


def with_attachments(to: str = "ada@sealpost.test") -> bytes:
    """Return a mail with an ordinary, a dangerous and a disguised attachment."""
    mail = _mail("Grace Hopper <grace@navy.example>", "Plans and a picture", "pass pass none", to)
    mail.set_content("Hello Ada,\n\nthe plan is attached.\n\n> can you send the plan?\n> and a picture\n\nGrace\n")
    mail.add_attachment(b"%PDF-1.7 plan" * 500, maintype="application", subtype="pdf", filename="plan.pdf")
    mail.add_attachment(PNG, maintype="image", subtype="png", filename="picture.png")
    mail.add_attachment(b"MZ" * 90, maintype="application", subtype="octet-stream", filename="invoice\u202efdp.exe")
    return mail.as_bytes(policy=SMTP)


def seed(to: str = "ada@sealpost.test") -> list[tuple[bytes, float]]:
    """Return mails with their age in seconds, oldest first."""
    day = 86_400.0
    return [
        (
            text(
                "Ada's bank <hello@bank.example>",
                "Your statement is ready",
                "Sign in to read it.",
                "fail none fail",
                to,
            ),
            9 * day,
        ),
        (text("Konrad <konrad@zuse.example>", "Re: Relays", "They click, they count. More on Monday.", to=to), 3 * day),
        (text("Charles Babbage <charles@engine.example>", "The analytical engine", "The mill works.", to=to), day),
        (text("", "", "A message without a subject, from nobody in particular.", to=to), 7_000.0),
        (with_attachments(to), 3_000.0),
        (newsletter(to), 900.0),
    ]


def _mail(sender: str, subject: str, auth: str, to: str) -> EmailMessage:
    mail = EmailMessage()
    if sender:
        mail["From"] = sender
    mail["To"] = to
    if subject:
        mail["Subject"] = subject
    mail["Date"] = "Sun, 22 Nov 2026 17:00:00 +0000"
    mail["X-Test-Auth"] = auth
    return mail


def envelope(sender: str, subject: str, *, by_sender: bool = True, dmarc: str = "none") -> bytes:
    """Return an envelope as a client writes it, true or not."""
    value = {
        "v": 1,
        "from": {"name": "Ada", "address": sender},
        "to": [],
        "cc": [],
        "rcpt": "",
        "subject": subject,
        "date": "2026-11-22T17:00:00Z",
        "preview": "",
        "attachments": [],
        "message_id": "<1@x>",
        "auth": {"spf": dmarc, "dkim": dmarc, "dmarc": dmarc},
        "encrypted": False,
    }
    return json.dumps(value | ({"sealed_by_sender": True} if by_sender else {})).encode()


def multipart(kind: str, parts: Sequence[bytes], sender: str, subject: str = "...") -> bytes:
    """Return a PGP/MIME mail (RFC 3156) around `parts`, each with its own fields."""
    protocol = "application/pgp-encrypted" if kind == "encrypted" else "application/pgp-signature"
    head = [
        f"From: Grace <{sender}>",
        "To: reader@sealpost.test",
        f"Subject: {subject}",
        "Date: Sun, 22 Nov 2026 17:00:00 +0000",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/{kind}; protocol="{protocol}"; boundary="edge"',
        "",
        "",
    ]
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts)
    return "\r\n".join(head).encode() + body + b"--edge--\r\n"
