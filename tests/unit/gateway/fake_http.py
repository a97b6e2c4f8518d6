"""The key directories of the world, in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from libs.net.http import Fetched


@dataclass
class FakeHttp:
    """The key directories of the world: an answer by URL without its query; all others say 404, or what `otherwise` is.

    Where the answer is an error it is raised.
    """

    answers: dict[str, Fetched | Exception] = field(default_factory=dict)
    otherwise: Fetched | Exception = field(default_factory=lambda: Fetched(404, {}, b""))
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def fetch(self, method: str, url: str, *, max_bytes: int, seconds: float) -> Fetched:
        assert method == "GET" and max_bytes == 65536
        self.asked.append(url)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.get(url.partition("?")[0], self.otherwise)
        if isinstance(answer, Exception):
            raise answer
        return answer
