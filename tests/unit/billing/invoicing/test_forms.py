"""Taxes by country, amounts as people read them, PDF files."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.local.plan import CATALOGUE
from libs.owner.model import Subject, Wanted
from libs.runtime.clock import unix_seconds
from services.billing.domain.catalogue import load_catalogues
from services.billing.domain.customers import Details
from services.billing.domain.model import DAY, Meter
from services.billing.domain.money import said
from services.billing.invoicing.documents import INVOICES
from services.billing.invoicing.held import classes
from services.billing.invoicing.register import REGISTER
from services.billing.invoicing.taxes import ELSEWHERE, REVERSE_CHARGE, tax_for
from tests.unit.billing.invoicing.world import COLLECTIONS, FIRST, World

OFFERS = load_catalogues(CATALOGUE).on(FIRST)
KEPT = 10 * 365 * DAY


@pytest.mark.parametrize(
    ("country", "vat_id", "rate", "note"),
    [
        ("", "", 19_000, ""),
        ("DE", "DE129273398", 19_000, ""),
        ("AT", "", 20_000, ""),
        ("AT", "ATU12345678", 0, REVERSE_CHARGE),
        ("GR", "EL123456789", 0, REVERSE_CHARGE),
        # A number of another country than his own.
        ("AT", "FR12345678901", 20_000, ""),
        # In the Union, without a rate here.
        ("PT", "", 19_000, ""),
        ("CH", "", 8_100, ""),
        ("US", "", 0, ELSEWHERE),
        ("US", "DE129273398", 0, ELSEWHERE),
    ],
)
def test_taxes(country: str, vat_id: str, rate: int, note: str) -> None:
    tax = tax_for(OFFERS, Details(country=country, vat_id=vat_id))
    assert (tax.rate, tax.note) == (rate, note)


@pytest.mark.parametrize(
    ("amount", "digits", "text"),
    [
        (0, 2, "0.00"),
        (5, 2, "0.05"),
        (123456789, 2, "1\u202f234\u202f567.89"),
        (-150, 2, "\u22121.50"),
        (1500, 0, "1\u202f500"),
    ],
)
def test_amounts(amount: int, digits: int, text: str) -> None:
    assert said(amount, digits) == text
    assert said(amount, digits, "EUR") == f"{text} EUR"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        world = World(store)
        world.customer("a1", "growth")
        world.used.days["a1"] = {FIRST + day: {Meter.MAILS_DELIVERED: 1_234_567} for day in range(31)}
        await world.run().turn()
        yield world


async def test_a_pdf_says_its_title_and_is_the_same_each_time(world: World) -> None:
    file = await world.invoices.file("a1", "2026-000001", "pdf")
    assert (file.name, file.media_type) == ("2026-000001.pdf", "application/pdf")
    assert file.content.startswith(b"%PDF-") and b"/Title (Invoice 2026-000001)" in file.content
    assert b"/Lang (en)" in file.content and b"Roboto" in file.content
    assert len(re.findall(rb"/Type /Page\b", file.content)) == 2
    assert (await world.invoices.file("a1", "2026-000001", "pdf")).content == file.content
    await world.notes.credit("a1", "2026-000001", "r", 100)
    await world.run().turn()
    note = (await world.invoices.file("a1", "2026-000002", "pdf")).content
    assert b"/Title (Credit note 2026-000002)" in note and len(re.findall(rb"/Type /Page\b", note)) == 1


@pytest.mark.parametrize(
    "name", ["A" * 120, "<b>&amp;</b> & Söhne", "Παπαδόπουλος, Щербаков", "株式会社", "عمر", "x\u202ey", "🙂"]
)
async def test_any_name_gives_a_pdf(world: World, name: str) -> None:
    world.accounts.payers["a2"] = Details(name, (name, "", name), "DE", "")
    world.customer("a2", "personal", FIRST, FIRST + 60)
    world.clock.advance(days=31)
    await world.run().turn()
    file = await world.invoices.file("a2", "2026-000002", "pdf")
    assert file.content.startswith(b"%PDF-") and file.content.rstrip().endswith(b"%%EOF")
    assert (
        json.dumps(name, ensure_ascii=False)
        in (await world.invoices.file("a2", "2026-000002", "json")).content.decode()
    )


async def test_law_keeps_documents_and_no_longer(world: World) -> None:
    (held,) = classes(world.store, lambda: KEPT)
    erased = await held.erase(Subject("a1", "m1"), 100)
    assert (erased.deleted, erased.kept) == (0, 1)
    assert erased.kept_until_day * DAY > unix_seconds(world.clock) + KEPT - DAY
    exported = [item async for item in held.export(Subject("a1", "m1"), Wanted())]
    assert b"2026-000001" in b"".join([block async for block in exported[0].content])
    due = unix_seconds(world.clock) // DAY * DAY + KEPT
    assert (await held.count()).first_due == due
    assert (await held.sweep(due - 1, 100)).deleted == 0
    world.clock.advance(seconds=KEPT + DAY)
    assert (await held.sweep(unix_seconds(world.clock), 100)).deleted == 1
    # The newest page stays: it says which number comes next.
    assert (await world.store.count(INVOICES), await world.store.count(REGISTER)) == (0, 1)
    assert await held.erase(Subject("a1", "m1"), 100) == type(erased)()
