"""ARC sets of ours, verified by dkimpy: alone, on top of others', for broken chains once, none where none may be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.verdict import Verdict
from libs.runtime.errors import NotFoundError, UnavailableError
from services.delivery.dkim_fields import Key
from services.delivery.forwards.sealing import ArcSealer
from tests.support.clock import ManualClock
from tests.unit.ingest.senders import MAIL, rsa_key, sign, zone

RESULTS = "spf=pass smtp.mailfrom=example.org; dkim=pass header.d=example.org; dmarc=pass header.from=example.org"
ZONE = dict(zone()) | {
    (f"{selector}._domainkey.{domain}", "TXT"): [rsa_key()[1]]
    for selector, domain in (("sp1r", "sealpost.test"), ("sp2r", "sealpost.test"))
}


class FakeKeys:
    """sealing.Keys: one key, under a selector that may change."""

    def __init__(self, selector: str = "sp1r") -> None:
        self.selector = selector
        self.known = selector
        self.fault: Exception | None = None
        self.signed = 0

    async def rsa_key(self, domain: str, *, anew: bool = False) -> Key:
        self.known = self.selector if anew else self.known
        return Key(self.known, "rsa-sha256")

    async def sign_digest(self, domain: str, key: Key, digest: bytes) -> bytes:
        if self.fault is not None:
            raise self.fault
        if key.selector != self.selector:
            raise NotFoundError("dkim_key_unknown")
        self.signed += 1
        made: bytes = private().sign(digest, PKCS1v15(), Prehashed(SHA256()))
        return made


@cache
def private() -> RSAPrivateKey:
    key = load_pem_private_key(rsa_key()[0], None)
    assert isinstance(key, RSAPrivateKey)
    return key


def look_up(name: bytes, timeout: float = 5) -> bytes:
    (record,) = ZONE[name.decode().rstrip("."), "TXT"]
    return record.replace('" "', "").strip('"').encode()


def verified(mail: bytes) -> tuple[bytes | None, list[Mapping[str, Any]]]:
    found, sets, _ = dkim.arc_verify(mail, dnsfunc=look_up)
    return found, sets


async def sealed(mail: bytes, arc: str = "none", keys: FakeKeys | None = None) -> bytes:
    sealer = ArcSealer(keys or FakeKeys(), "mx.sealpost.test", ManualClock())
    said = {"none": "", "": ""}.get(arc, f"; arc={'pass' if arc == 'pass' else 'fail'}")
    return await sealer.seal(mail, "sealpost.test", Verdict("pass", "pass", "pass", RESULTS + said, arc))


def foreign(mail: bytes, cv: bytes = b"") -> bytes:
    """Return a mail with a set of another forwarder in front."""
    results = b"Authentication-Results: mx.example.org; spf=pass" + (b"; arc=" + cv if cv else b"") + b"\r\n"
    added = dkim.arc_sign(results + mail, b"sel", b"example.org", rsa_key()[0], b"mx.example.org", linesep=b"\r\n")
    return b"".join(map(bytes, added)) + mail


async def test_the_first_hop() -> None:
    mail = sign(MAIL)
    made = await sealed(mail)
    assert made.endswith(mail)
    assert verified(made)[0] == b"pass"
    assert dkim.verify(made, dnsfunc=look_up)
    fields = made[: -len(mail)]
    assert fields.count(b"ARC-") == 3
    assert b"ARC-Authentication-Results: i=1; mx.sealpost.test;\r\n\tspf=pass smtp.mailfrom" in fields
    assert b"a=rsa-sha256" in fields
    assert b"cv=none" in fields
    assert max(map(len, fields.split(b"\r\n"))) < 100


async def test_on_top_of_others_and_others_on_top() -> None:
    twice = await sealed(foreign(sign(MAIL)), "pass")
    found, sets = verified(twice)
    assert found == b"pass"
    assert [(one["instance"], one["as-domain"], one["cv"]) for one in sets] == [
        (2, b"sealpost.test", b"pass"),
        (1, b"example.org", b"none"),
    ]
    # And once more through us, after somebody else.
    again = await sealed(foreign(twice, b"pass"), "pass")
    found, sets = verified(again)
    assert (found, len(sets)) == (b"pass", 4)
    assert dkim.verify(again, dnsfunc=look_up)


async def test_a_broken_chain_is_sealed_as_that_over_our_set_alone() -> None:
    broken = foreign(MAIL).replace(b"A line.", b"B line.")
    made = await sealed(broken, "fail")
    assert verified(made)[0] is None, "ended, as dkimpy says it"
    assert b"cv=fail" in made
    # RFC 8617 5.1.2: the seal holds as if ours were the only set.
    lines = made[: -len(broken)] + MAIL
    ours = dkim.ARC(lines)
    _, headers = ours.sorted_arc_headers()
    assert ours.verify_instance(headers, 2, dnsfunc=look_up)["as-valid"]


@pytest.mark.parametrize("arc", ["ended", "", "strange"])
async def test_where_there_is_nothing_to_say_there_is_no_set(arc: str) -> None:
    keys = FakeKeys()
    mail = foreign(MAIL)
    assert await sealed(mail, arc, keys) == mail
    assert keys.signed == 0


@pytest.mark.parametrize(
    ("mail", "arc"),
    [
        (foreign(MAIL), "none"),
        (foreign(MAIL).replace(b"ARC-Seal", b"X-Seal", 1), "pass"),
        (b"ARC-Seal: i=50; cv=pass\r\n" + MAIL, "fail"),
        (b"ARC-Seal: i=51; cv=pass\r\n" + MAIL, "fail"),
        (b"Subject: no author\r\n\r\nText\r\n", "none"),
        (b"no header\r\n\r\nFrom: x\r\n", "none"),
        (b"From: ada@example.org\r\nno field at all\r\n\r\nText\r\n", "none"),
        (b"", "none"),
    ],
)
async def test_no_set_where_none_would_hold(mail: bytes, arc: str) -> None:
    assert await sealed(mail, arc) == mail


@pytest.mark.parametrize(
    "mail",
    [
        MAIL.partition(b"\r\n\r\n")[0] + b"\r\n",
        MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
        MAIL + b" \t \r\n" * 50_000,
        b"Received: from x\r\n" * 49 + b"FROM:  Ada\r\n\t<ada@example.org>\r\nFrom: Eve <e@x.example>\r\n\r\nx\r\n",
        b"From: \xc3\x84da <ada@example.org>\r\nX: " + b"y" * 5000 + b"\r\n\r\n\xff\xfe 8 bit\r\n",
    ],
)
async def test_all_kinds_of_mail(mail: bytes) -> None:
    made = await sealed(mail)
    assert made.endswith(mail)
    assert verified(made)[0] == b"pass"


@pytest.mark.parametrize(
    ("before", "after"), [(b"A line.", b"B line."), (b"Subject: Hello", b"Subject: X"), (b"spf=pass", b"spf=fail")]
)
async def test_changes_behind_us_are_seen(before: bytes, after: bytes) -> None:
    made = await sealed(sign(MAIL))
    assert verified(made.replace(before, after, 1))[0] == b"fail"


async def test_new_keys_are_asked_for_once() -> None:
    keys = FakeKeys()
    keys.selector = "sp2r"
    made = await sealed(MAIL, keys=keys)
    assert b"s=sp2r" in made
    assert verified(made)[0] == b"pass"


async def test_without_signatures_nothing_goes_out() -> None:
    keys = FakeKeys()
    keys.fault = UnavailableError("unreachable")
    with pytest.raises(UnavailableError):
        await sealed(MAIL, keys=keys)


@given(st.binary(max_size=200), st.sampled_from(["none", "pass", "fail"]))
async def test_whatever_comes_leaves_as_it_came(data: bytes, arc: str) -> None:
    header = data.replace(b"\0", b"").replace(b"\n", b"\r\n")
    for mail in (data, header, b"From: a@b.example\r\n" + header, b"ARC-Seal: " + header + b"\r\n" + MAIL):
        assert (await sealed(mail, arc)).endswith(mail)
