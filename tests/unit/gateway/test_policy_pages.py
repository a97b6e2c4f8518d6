"""The policy as pages and as JSON: from the document, with the evidence beside each sentence, without script."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.policy import load_policy
from libs.policy.document import clauses_for, document, encoded
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import NotFoundError, UnavailableError
from protos.retention.v1 import retention_pb2 as pb
from tests.unit.gateway.fakes import Gateway, gateway

TEXT = document(load_policy(), 1)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway before retention with version 1 in force."""
    async with gateway(tmp_path) as made:
        in_force(made, TEXT)
        yield made


def in_force(site: Gateway, text: dict[str, Any], **evidence: Any) -> None:
    """Let retention answer with `text`, and with what probes found."""
    now = unix_seconds(site.clock)
    site.retention.answers["GetVersion"] = pb.PolicyVersion(
        version=text["version"], state="active", activated_at=now - 86400, document=encoded(text)
    )
    clauses = [pb.ClauseEvidence(clause=one["id"], result="pass", at=now - 240) for one in text["clauses"]]
    site.retention.answers["GetEvidence"] = pb.Evidence(clauses=clauses, version=text["version"], **evidence)


async def page(site: Gateway, path: str, status: int = 200) -> str:
    """Return the text of a page."""
    answer = await site.client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_every_sentence_is_there_with_what_a_probe_found(site: Gateway) -> None:
    text = await page(site, "/privacy")
    said = clauses_for(TEXT)
    assert len(said) > 30
    for clause in said:
        assert f'id="{clause["id"]}"' in text
    standing = [clause for clause in said if not clause["pending"]]
    assert text.count(">holds</span>") == len(standing)
    assert text.count(">pending</span>") == len(said) - len(standing) > 0
    assert "4 minutes ago" in text
    assert f"{len(standing)} of {len(standing)} promises" in text


async def test_what_does_not_hold_is_not_hidden(site: Gateway) -> None:
    now = unix_seconds(site.clock)
    held = pb.ClassEvidence(data_class="public_mail", count=1234567, at_least=True, overdue=7200, at=now)
    in_force(site, TEXT, classes=[held], clock_held=True)
    evidence = site.retention.answers["GetEvidence"]
    next(one for one in evidence.clauses if one.clause == "E4").result = "fail"
    del evidence.clauses[-1]
    text = await page(site, "/privacy")
    assert text.count(">does not hold</span>") == 1
    assert ", 1 not." in text
    assert "clock of this installation has moved" in text
    if "public_mail" in TEXT["classes"]:
        assert "more than 1,234,567 held" in text
        assert "oldest is 2 hours past its time" in text


@pytest.mark.parametrize("profile", ["guest", "sealed", "public", "mailing", "relay"])
async def test_each_profile_has_its_own(site: Gateway, profile: str) -> None:
    text = await page(site, f"/privacy?profile={profile}")
    shown = set(re.findall(r'<article class="clause" id="([A-Z]\d+)"', text))
    assert shown == {clause["id"] for clause in clauses_for(TEXT, profile)}
    assert shown < {clause["id"] for clause in TEXT["clauses"]}


async def test_a_profile_or_version_that_does_not_exist_is_told(site: Gateway) -> None:
    assert (await site.client.get("/privacy?profile=vip")).status_code == 422
    site.retention.errors["GetVersion"] = NotFoundError("policy_version")
    answer = await site.client.get("/privacy?version=7")
    assert (answer.status_code, answer.json()["reason"]) == (404, "policy_version")


async def test_what_stands_in_the_document_is_text_and_nothing_else(site: Gateway) -> None:
    text = copy.deepcopy(TEXT)
    text["clauses"][0]["sentence"] = '<script src="//elsewhere.test/x.js"></script><img src=x onerror=alert(1)>'
    in_force(site, text)
    found = await page(site, "/privacy")
    assert "<script" not in found
    assert "<img" not in found
    assert "&lt;script" in found


async def test_pages_need_no_script_and_no_file(site: Gateway) -> None:
    site.retention.answers["GetTransparency"] = pb.Transparency(half_years=[pb.HalfYear(name="2026-H2", asked="1-9")])
    for path in ("/privacy", "/privacy/versions", "/privacy/diff?from=1&to=1", "/transparency"):
        answer = await site.client.get(path)
        assert answer.status_code == 200, path
        assert "<script" not in answer.text and " src=" not in answer.text and "<link" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert not re.findall(r'href="(?!/|#)', answer.text), path
        assert "set-cookie" not in answer.headers


async def test_evidence_that_cannot_be_had_is_said_and_the_policy_stays(site: Gateway) -> None:
    await page(site, "/privacy")
    site.clock.advance(60)
    site.retention.errors["GetEvidence"] = site.retention.errors["GetVersion"] = UnavailableError("rpc")
    text = await page(site, "/privacy")
    assert "does not answer right now" in text
    assert ">holds</span>" in text, "what was found last, with its age"
    assert "5 minutes ago" in text


async def test_retention_is_asked_once_for_many_pages(site: Gateway) -> None:
    for _ in range(20):
        await page(site, "/privacy")
    assert [name for name, _ in site.retention.asked].count("GetEvidence") == 1
    assert [name for name, _ in site.retention.asked].count("GetVersion") == 1


async def test_a_difference_marks_what_is_new_and_who_loses(site: Gateway) -> None:
    text = copy.deepcopy(TEXT)
    text["version"] = 2
    text["rules"]["public_mail_seconds"] |= {"value": 7 * 86400, "said": "7 days"}
    versions = {1: TEXT, 2: text}

    class Both:
        async def GetVersion(self, request: pb.GetVersionRequest, timeout: float) -> pb.PolicyVersion:
            number = request.version or 1
            return pb.PolicyVersion(version=number, state="replaced", document=encoded(versions[number]))

    site.retention.__class__ = type("Retention", (Both, type(site.retention)), {})
    found = await page(site, "/privacy/diff?from=1&to=2")
    assert "less for you" in found
    assert re.search(r"<ins>7</ins>|<ins>7 days</ins>", found)
    assert "Nothing: both say the same" in await page(site, "/privacy/diff?from=1&to=1")
    assert (await site.client.get("/privacy/diff?from=1")).status_code == 422


async def test_versions_are_listed_but_not_what_was_never_published(site: Gateway) -> None:
    states = ["proposed", "announced", "active", "replaced", "withdrawn"]
    versions = [
        pb.PolicyVersion(version=n, state=state, earliest=1_797_592_000, activated_at=1_795_000_000)
        for n, state in enumerate(states, 1)
    ]
    site.retention.answers["ListVersions"] = pb.ListVersionsResponse(versions=versions)
    found = await page(site, "/privacy/versions")
    assert [int(n) for n in re.findall(r"<h2>Version (\d+)", found)] == [2, 3, 4]
    assert "Takes effect on 18 December 2026 at the earliest." in found


async def test_the_twins_for_programs(site: Gateway) -> None:
    found = (await site.client.get("/.well-known/sealpost-policy.json")).json()
    assert found["document"] == TEXT
    assert found["evidence"]["clauses"]["E4"]["result"] == "pass"
    root = pb.Root(day="2026-11-22", entry=9, hash=b"\x01" * 32, signature=b"\x02" * 64, key_id=b"\x03" * 8)
    site.retention.answers["ListRoots"] = pb.ListRootsResponse(roots=[root], public_keys=[b"\x04" * 32])
    roots = (await site.client.get("/.well-known/sealpost-evidence.json")).json()
    assert roots["roots"][0] == {
        "day": "2026-11-22", "entry": 9, "hash": "01" * 32, "signature": "02" * 64, "key_id": "03" * 8,
    }  # fmt: skip
    ledger = await site.client.get("/evidence/ledger.jsonl?first=2026-11-21&last=2026-11-22")
    assert ledger.text == "{}\n"
    assert (await site.client.get("/evidence/ledger.jsonl?first=yesterday&last=2026-11-22")).status_code == 422


async def test_receipts_are_for_people_too(site: Gateway) -> None:
    gone = await page(site, "/erasure/" + "q" * 43, 404)
    assert "no such receipt" in gone
    site.retention.errors.pop("GetReceipt")
    line = pb.ReceiptLine(service="storage", data_class="member_mail", count=7)
    for state, word in (("waiting", "can be undone"), ("running", "under way"), ("done", "Everything is erased")):
        site.retention.answers["GetReceipt"] = pb.Receipt(
            state=state, asked_at=1, due=1_797_592_000, keys_gone_at=1_797_592_000, done_at=1_797_592_060, lines=[line]
        )
        answer = await site.client.get("/erasure/" + "r" * 43)
        assert word in answer.text
        assert answer.headers["cache-control"] == "no-store"
