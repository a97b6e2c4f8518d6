"""Deleting in spells: many small transactions, and an answer before whoever asked gets impatient.

A spell is short, so that whoever asks can tell from the time that the answer took how busy this service is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from libs.owner.model import Swept

SPELL_SECONDS = 0.12
_FIRST = 50


async def in_pieces(delete: Callable[[int], Awaitable[int]], limit: int, piece: int) -> Swept:
    """Delete at most `limit` documents, at most `piece` of them at a time, for the length of a spell.

    `delete` returns how many it has deleted, fewer than asked where no more are left. The first pieces are small: where
    others are at work, one may take as long as a spell.
    """
    loop = asyncio.get_running_loop()
    deleted, ends = 0, loop.time() + SPELL_SECONDS
    size = _FIRST
    while deleted < limit:
        asked = min(size, piece, limit - deleted)
        size *= 2
        gone = await delete(asked)
        deleted += gone
        if gone < asked:
            return Swept(deleted)
        if loop.time() >= ends:
            break
    return Swept(deleted, more=True)
