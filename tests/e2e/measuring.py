"""The part of a business's story in which it has a campaign counted; numbers that take days are put in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from tests.e2e.relaying import Business
from tests.e2e.test_access import AXE, NARROW, RUN_AXE, WIDE

_DAYS = [
    (
        f"2026-11-{15 + place:02}T00:00:00Z",
        None if opens is None else {"value": opens, "half_width": 41},
        None if clicks is None else {"value": clicks, "half_width": 41},
    )
    for place, (opens, clicks) in enumerate([(412, 251), (338, 197), (246, None), (219, None), (None, None)])
]
_RESPONSES = {
    "measuring": {"opens": False, "clicks": True},
    "days": [
        *({"day": day, "state": "released", "opens": opens, "clicks": clicks} for day, opens, clicks in _DAYS),
        {"day": "2026-11-20T00:00:00Z", "state": "open", "opens": None, "clicks": None},
    ],
    "opens": {"value": 1215, "half_width": 76, "days": 4},
    "clicks": {"value": 448, "half_width": 55, "days": 2},
    "noise": "Every number has random noise added once, so that it tells of no one recipient.",
}


def campaign_is_counted(business: Business, artifacts: Path) -> None:
    """Switch it on, and see its numbers."""
    page = business.page
    business.section("Opens and clicks")
    show = page.get_by_role("button", name="Show", exact=True)
    page.get_by_label("Campaign").fill("Spring sale")
    expect(show).to_be_disabled()
    page.get_by_label("Campaign").fill("spring")
    page.keyboard.press("Enter")
    clicks = page.get_by_role("checkbox", name="Count clicks")
    expect(page.get_by_role("checkbox", name="Count opens")).not_to_be_checked()
    expect(clicks).not_to_be_checked()
    expect(page.get_by_text("Nothing was counted for")).to_be_visible()
    clicks.click()
    expect(page.get_by_text("Saved, for mails that are sent from now on")).to_be_visible()
    _shown(business, clicks)
    page.route("**/v1/campaigns/spring/responses", lambda route: route.fulfill(json=_RESPONSES))
    try:
        for scheme in ("light", "dark"):
            _look(business, scheme, artifacts)
    finally:
        page.unroute("**/v1/campaigns/spring/responses")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def _shown(business: Business, clicks: Locator) -> None:
    # Asked again: a page that is loaded again wants the password first.
    business.section("Webhooks")
    business.section("Opens and clicks")
    business.page.get_by_label("Campaign").fill("spring")
    business.page.keyboard.press("Enter")
    expect(clicks).to_be_checked()


def _look(business: Business, scheme: Any, artifacts: Path) -> None:
    page = business.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    _shown(business, page.get_by_role("checkbox", name="Count clicks"))
    expect(page.get_by_text("1,215 ± 76")).to_be_visible()
    assert page.locator(".responses rect").count() == 6
    page.get_by_text("All days as a table").click()
    expect(page.get_by_role("row", name="Nov 17").get_by_role("cell")).to_have_text(["246 ± 41", "Too few to say"])
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
    page.screenshot(path=artifacts / f"campaign-{scheme}.png", full_page=True)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.screenshot(path=artifacts / f"campaign-{scheme}-narrow.png", full_page=True)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
