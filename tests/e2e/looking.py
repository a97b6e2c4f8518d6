"""Looks at a page as everybody sees it: a picture, axe, and nothing that overflows at 360 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.e2e.test_access import AXE, NARROW, RUN_AXE, WIDE

OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  if (box.width === 0 || getComputedStyle(e).visibility === 'hidden') return false;
  const scrolls = e.closest('.tabs, .sidebar, .settings-nav ul, .table-scroll, table, .visually-hidden, .skip, pre');
  return !scrolls && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 120))"""
# A view fills the screen and scrolls inside; a picture of all of it needs a screen that is tall enough.
HEIGHT = """() => Math.max(document.documentElement.scrollHeight,
  ...[...document.querySelectorAll('.settings-main, .body')].map(e => e.scrollHeight + 120))"""


def look(page: Page, artifacts: Path, name: str) -> None:
    """Keep pictures of what `page` shows, light, dark and narrow, and see that nothing is wrong with any of them."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for kind, scheme, size in (("light", "light", WIDE), ("dark", "dark", WIDE), ("narrow", "light", NARROW)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_viewport_size(_tall(page, size))
        # Until it has come to rest.
        page.wait_for_timeout(100)
        height = min(int(page.evaluate("document.documentElement.scrollHeight")), 2_400)
        clip: Any = {"x": 0, "y": 0, "width": size["width"], "height": height}
        page.screenshot(path=artifacts / f"{name}-{kind}.png", full_page=True, clip=clip)
        assert page.evaluate(RUN_AXE) == [], (name, kind)
        if kind == "narrow":
            assert page.evaluate(OVERFLOWING) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def _tall(page: Page, size: dict[str, int]) -> Any:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    return {"width": size["width"], "height": max(size["height"], min(int(page.evaluate(HEIGHT)), 12_000))}


def dismiss(page: Page) -> None:
    """Close what was said in passing."""
    while (toast := page.get_by_role("button", name="Dismiss")).count():
        toast.first.click()
