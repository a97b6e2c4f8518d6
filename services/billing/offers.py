"""Says from when on a version of the catalogue holds: not before those who lose by it were told, long enough ahead.

    new in the file ─▶ being told (`since` is said in every letter) ─▶ told ─▶ it begins: `since`, or `notice_days`
                                                                              after the last letter if that is later

Both fall on the first of a month, since a month is billed by one version. The days of notice are those of the version
before. A version by which nobody pays more or has less holds from its own day on. What the file said when billing first
began, nobody has to be told: versions that had begun by then hold as written. Versions hold in their order, so that one
that waits holds back what follows it.

What a version says is remembered by a hash. If it changes before it holds, everybody is told anew; afterwards billing
does not start with it: prices that held are not altered in hindsight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from libs.docstore.fields import number, text
from libs.docstore.store import Collection, Document, Insert, Patch, Store, Value
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError
from libs.runtime.settings import SettingsError
from services.billing.domain.catalogue import Catalogues
from services.billing.domain.model import DAY, Catalogue, Profile
from services.billing.domain.versions import Change, changes, month_from

VERSIONS = Collection("catalogue_versions", fields=("hash", "since", "told_day", "began_day", "swept_day", "cursor"))

_BEGUN = "begun"
_ALWAYS = -1


@dataclass(frozen=True, slots=True)
class Notice:
    """How far the telling of a version is. Days since 1970-01-01.

    `since` is the day that the letters name; `told_day` that of the last letter, 0: not all are told, -1: nobody had
    to be. A look at all customers began on `began_day` and has come to `cursor`; the last whole one began on
    `swept_day`.
    """

    hash: str
    since: int = 0
    told_day: int = 0
    began_day: int = 0
    swept_day: int = 0
    cursor: str = ""
    # Of the stored document.
    version: int = 0


@dataclass(frozen=True, slots=True)
class Coming:
    """A version that is to be announced, with what is worse by it."""

    before: Catalogue
    catalogue: Catalogue
    changes: tuple[Change, ...]
    notice: Notice


class Offers:
    """The versions of one catalogue by one store, opened with VERSIONS; `load` before anything else."""

    def __init__(self, catalogues: Catalogues, store: Store, clock: Clock) -> None:
        """Read the notices from `store`."""
        self._catalogues = catalogues
        self._store = store
        self._clock = clock
        self._notices: dict[int, Notice] = {}
        self._worse = {
            new.version: tuple(change for change in changes(old, new) if change.material)
            for old, new in pairwise(catalogues.versions)
        }

    async def load(self) -> None:
        """Read how far all notices are, and write down versions that are new.

        Raises: SettingsError for a version that holds and is not what it was; UnavailableError.
        """
        today = unix_seconds(self._clock) // DAY
        begun = await self._store.get(VERSIONS, _BEGUN)
        for version in self._catalogues.versions:
            held = version.from_day <= today and begun is None
            fresh = Notice(hash_of(version), told_day=_ALWAYS if held else 0)
            found = await self._store.get(VERSIONS, _key(version))
            if found is None:
                with suppress(ConflictError):
                    await self._store.write(Insert(VERSIONS, _key(version), _body(fresh)))
                found = await self._store.get(VERSIONS, _key(version))
            self._notices[version.version] = _notice_of(found) if found is not None else fresh
            await self._compare(version, today)
        if begun is None:
            with suppress(ConflictError):
                await self._store.write(Insert(VERSIONS, _BEGUN, {}))

    async def refresh(self) -> None:
        """Read how far all notices are by now. Raises: UnavailableError."""
        for version in self._catalogues.versions:
            found = await self._store.get(VERSIONS, _key(version))
            if found is not None:
                self._notices[version.version] = _notice_of(found)

    async def _compare(self, version: Catalogue, today: int) -> None:
        """Let a version that was changed be told anew. Raises: SettingsError if it holds already."""
        notice, now = self._notices[version.version], hash_of(version)
        if notice.hash == now:
            return
        begins = self.begins(version)
        if begins is not None and begins <= today:
            raise SettingsError(
                [f"version {version.version}: holds already and is not what it was; make another version of it"]
            )
        await self.note(version.version, replace(notice, hash=now, since=0, told_day=0, swept_day=0, cursor=""))

    def on(self, day: int) -> Catalogue:
        """Return the version that holds on `day`, days since 1970-01-01; before all of them, the first."""
        holding = self._catalogues.versions[0]
        for version in self._catalogues.versions[1:]:
            begins = self.begins(version)
            if begins is None or begins > day:
                break
            holding = version
        return holding

    def begins(self, version: Catalogue) -> int | None:
        """Return the first day of a version; None while it is not known, since not all were told."""
        notice = self._notices[version.version]
        if not self._worse.get(version.version) or notice.told_day == _ALWAYS:
            return version.from_day
        if not notice.told_day:
            return None
        return max(notice.since, month_from(notice.told_day + self._before(version).notice_days))

    def default_plan(self, profile: Profile, day: int) -> str:
        """Return what an account of a profile has that never chose, on a day."""
        return self.on(day).defaults[profile]

    def coming(self) -> Iterator[Coming]:
        """Give the versions that have to be announced and do not hold yet, the earliest first."""
        today = unix_seconds(self._clock) // DAY
        for version in self._catalogues.versions[1:]:
            begins = self.begins(version)
            worse = self._worse[version.version]
            notice = self._notices[version.version]
            # A process with another file may be at work beside this one, while a new one is rolled out.
            if worse and notice.hash == hash_of(version) and (begins is None or begins > today):
                yield Coming(self._before(version), version, worse, notice)

    def since(self, coming: Coming) -> int:
        """Return the day that a letter of today says a version begins on."""
        known = self.begins(coming.catalogue)
        if known is not None:
            return known
        ahead = unix_seconds(self._clock) // DAY + coming.before.notice_days
        if coming.notice.since >= month_from(ahead):
            return coming.notice.since
        # A day more: a telling that ends after midnight has then still been long enough ahead.
        return max(coming.catalogue.from_day, month_from(ahead + 1))

    async def note(self, number_of_version: int, notice: Notice) -> Notice:
        """Write down how far a telling is; return it as it stands, by whoever wrote it. Raises: UnavailableError."""
        key = f"{number_of_version:06d}"
        with suppress(ConflictError):
            await self._store.write(Patch(VERSIONS, key, _body(notice), version=notice.version))
        found = await self._store.get(VERSIONS, key)
        if found is not None:
            self._notices[number_of_version] = _notice_of(found)
        return self._notices[number_of_version]

    def _before(self, version: Catalogue) -> Catalogue:
        versions = self._catalogues.versions
        return versions[max(versions.index(version) - 1, 0)]


def hash_of(version: Catalogue) -> str:
    """Return a hash of what may not change: all but texts, taxes and who sells."""
    plans = {
        name: {key: value for key, value in asdict(plan).items() if key not in ("title", "help")}
        for name, plan in version.plans.items()
    }
    parts = [
        version.from_day,
        plans,
        {str(meter): [asdict(tier) for tier in tiers] for meter, tiers in version.prices.items()},
        [version.currency, version.payment_days, version.grace_days, version.notice_days],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _key(version: Catalogue) -> str:
    return f"{version.version:06d}"


def _body(notice: Notice) -> dict[str, Value]:
    body: dict[str, Value] = asdict(notice)
    del body["version"]
    return body


def _notice_of(document: Document) -> Notice:
    body = document.body
    return Notice(
        text(body, "hash"),
        since=number(body, "since"),
        told_day=number(body, "told_day"),
        began_day=number(body, "began_day"),
        swept_day=number(body, "swept_day"),
        cursor=text(body, "cursor"),
        version=document.version,
    )
