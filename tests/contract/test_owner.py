"""What every data owner keeps to, with classes of the usual forms, on every engine; and stores that fail in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from libs.docstore.store import Body, Collection, Document, Index, Insert, Store
from libs.owner.classes import Due, Owned, StoredClass
from libs.owner.model import Subject, Wanted
from libs.owner.owner import Owner
from libs.owner.terms import TERMS, StoredTerms
from libs.policy import Terms, load_policy
from libs.policy.terms import Version
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from tests.support.clock import ManualClock
from tests.support.docstore import Engine
from tests.support.owner import ADA, EVE, Failing, Left, check_counts, check_owner, counts, erase, found_in_files, sweep

NOTES = Collection(
    "note", (Index("account", ("account", "at")), Index("at", ("at",))), fields=("account", "at", "text")
)
# An account has one, and nothing says when it ends.
FACES = Collection("face", (Index("account", ("account",)),), fields=("account", "text"))
LIFETIME = 3600
NUMBER = 5


@dataclass
class Notes:
    """An owner of notes with a time, and of faces without."""

    store: Store
    clock: ManualClock = field(default_factory=ManualClock)
    left: Mapping[str, Left] = field(
        default_factory=lambda: {
            "note": Left(NUMBER, erased=NUMBER, lifetime=LIFETIME, exported=True),
            "face": Left(1, erased=1),
        }
    )

    def __post_init__(self) -> None:
        """Put it together."""
        owned = Owned("account", lambda subject: subject.account_id)
        due = {"note": Due("at", offset=lambda: LIFETIME)}
        notes = StoredClass("note", self.store, [NOTES], due=due, owned={"note": owned}, shown=_shown)
        faces = StoredClass("face", self.store, [FACES], owned={"face": owned})
        self.owner = Owner([notes, faces, StoredClass("terms", self.store, [TERMS])], self.store, self.clock)

    async def put(self, subject: Subject, mark: bytes) -> None:
        """Leave some notes and a face."""
        account, text = subject.account_id, mark.decode()
        at = unix_seconds(self.clock)
        for number in range(NUMBER):
            body: Body = {"account": account, "at": at, "text": text}
            await self.store.write(Insert(NOTES, f"{account}/{at}/{number}", body))
        await self.store.write(Insert(FACES, account, {"account": account, "text": text}))


def _shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
    return None if wanted.disclosure else dict(document.body)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    opened = await engine.open([NOTES, FACES, TERMS])
    yield opened
    await opened.close()


async def test_an_owner_keeps_to_it(store: Store) -> None:
    await check_owner(Notes(store))


@pytest.mark.parametrize("done", [True, False])
async def test_an_erasure_that_failed_anywhere_is_finished_by_the_next_process(store: Store, done: bool) -> None:
    for after in range(5):
        trial = Notes(store)
        await trial.put(ADA, b"mark-of-ada-zzzz")
        await trial.put(EVE, b"mark-of-eve-zzzz")
        with pytest.raises(UnavailableError):
            await erase(Notes(Failing(store, after, done=done)), ADA)  # type: ignore[arg-type]
        again = Notes(store)
        await erase(again, ADA)
        await check_counts(again, {name: one.count for name, one in trial.left.items()})
        assert not await found_in_files(again, b"mark-of-ada-zzzz", ADA.account_id.encode())
        await erase(again, EVE)
        assert not any((await counts(again)).values())


@pytest.mark.parametrize("done", [True, False])
async def test_a_sweep_that_failed_anywhere_is_finished_by_the_next_process(store: Store, done: bool) -> None:
    for after in range(4):
        trial = Notes(store)
        await trial.put(ADA, b"mark-of-ada-zzzz")
        trial.clock.advance(LIFETIME // 2)
        await trial.put(EVE, b"mark-of-eve-zzzz")
        trial.clock.advance(LIFETIME // 2)
        broken, now = Notes(Failing(store, after, done=done), trial.clock), unix_seconds(trial.clock)  # type: ignore[arg-type]
        with pytest.raises(UnavailableError):
            await sweep(broken, "note", now)
        again = Notes(store, trial.clock)
        assert await sweep(again, "note", now) <= NUMBER
        assert (await counts(again))["note"] == NUMBER, "those of the other one live on"
        for subject in (ADA, EVE):
            await erase(again, subject)
        assert not await found_in_files(again, b"mark-of-ada-zzzz")


async def test_numbers_in_force_are_kept(store: Store) -> None:
    kept = StoredTerms(store, Terms(load_policy()))
    await kept.put([Version(2, {"public_mail_seconds": 7200}), Version(1, {"public_mail_seconds": 3600}, True)])
    await kept.put([Version(2, {}, True)])
    again = StoredTerms(store, Terms(load_policy()))
    await again.load()
    assert (again.terms.active, again.terms.rule("public_mail_seconds")) == (2, 7200)
    assert again.terms.rule("public_mail_seconds", 1) == 3600
    assert (await counts(Notes(store)))["terms"] == 2
