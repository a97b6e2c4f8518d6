"""What the platform would do without the mechanisms of the clauses for who sends by program."""

from __future__ import annotations

from typing import Any

from tests.support.altered import replace
from tests.support.clauses import Anything, Saboteur, awaited, switch, write_down

_CLEAR = b"in clear: "


def _trails_in_clear(service: str) -> None:
    """R1: what is kept of recipients is kept as it is."""
    from libs.envelope import Vault

    unseal = Vault.open

    def opened(self: Any, place: str, blob: bytes) -> bytes:
        return blob.removeprefix(_CLEAR) if blob.startswith(_CLEAR) else unseal(self, place, blob)

    replace(Vault, "open", opened)
    switch("R1", Vault, "seal", lambda kept: lambda self, place, content: _CLEAR + content)


def _links_kept(service: str) -> None:
    """R2: each link that is followed is noted."""
    from services.delivery.measuring.measure import Measure

    def without(kept: Anything) -> Anything:
        def noted(self: Any, token: str, *, count: bool) -> Any:
            write_down(token.encode())
            return kept(self, token, count=count)

        return noted

    switch("R2", Measure, "follow", without)


def _anybody_written_to(service: str) -> None:
    """R3: the platform writes also to who has no account."""
    from libs.runtime.errors import NotFoundError
    from services.delivery.platform.sending import PlatformMail

    def without(kept: Anything) -> Anything:
        async def sent(self: Any, letter: Any) -> None:
            try:
                await kept(self, letter)
            except NotFoundError:
                write_down(letter.account_id.encode())

        return sent

    switch("R3", PlatformMail, "send", without)


def _nobody_told(service: str) -> None:
    """R4: nobody is told of a version that is announced."""
    from services.retention.domain.versions_notices import Notices

    switch("R4", Notices, "step", awaited(0))


SABOTEURS = (
    Saboteur("R1", ("delivery",), _trails_in_clear),
    Saboteur("R2", ("delivery",), _links_kept),
    Saboteur("R3", ("delivery",), _anybody_written_to),
    Saboteur("R4", ("retention",), _nobody_told),
)
