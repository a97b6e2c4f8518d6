"""What clients of submission say inside AUTH."""

from __future__ import annotations

import base64

from tests.support.ingest import Counter, Dialogue
from tests.support.ingest_fakes import ADA_PASSWORD, SHOP_PASSWORD

PASSWORDS = {"ada@sealpost.test": ADA_PASSWORD, "shop@relay.sealpost.test": SHOP_PASSWORD}
# A transcript from the greeting to EHLO over TLS.
TLS = """
    S: 220 mx.sealpost.test ESMTP
    C: EHLO client.example
    S: 250
    TLS
    C: EHLO client.example
    S: 250
"""


def b64(data: str | bytes) -> str:
    """Return base64 for a transcript."""
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def plain(name: str = "ada@sealpost.test", password: str = ADA_PASSWORD, authorization: str = "") -> str:
    """Return the message of PLAIN."""
    return b64(f"{authorization}\0{name}\0{password}")


async def sign_in(server: Counter, name: str = "ada@sealpost.test", *, implicit: bool = False) -> Dialogue:
    """Return a connection that has signed in."""
    start = "S: 220" if implicit else "S: 220\nC: EHLO client.example\nS: 250\nTLS"
    return await server.converse(
        f"""
            {start}
            C: EHLO client.example
            S: 250
            C: AUTH PLAIN {plain(name, PASSWORDS[name])}
            S: 235 2.7.0
        """,
        tls=implicit,
    )
