"""The accounts of the probes: made through the door like anybody's, kept sealed, signed in anew when needed.

One for each profile that can sign up. Should somebody erase one, the next probe makes another.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from dataclasses import asdict, dataclass, replace

from libs.client import keys
from libs.docstore.store import Body, Collection, Delete, Insert, Store
from libs.envelope import KeyEncryptionKeys, new_data_key, open_sealed, place_of, seal
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from libs.runtime.secret import Secret
from services.retention.probes.world import Answer, Person, UnknowableError, Web

PEOPLE = Collection("probe_account", fields=("profile", "data_key", "sealed"))
_DOMAINS = {"sealed": "member_domains", "relay": "relay_domains"}


@dataclass(frozen=True)
class Kept:
    """What is kept of an account, sealed. Bytes are base64."""

    address: str
    account_id: str
    password: str
    authentication_key: str
    wrapping_key: str
    private_key: str
    fingerprint: str
    certificate: str


class Accounts:
    """World.people."""

    def __init__(self, web: Web, store: Store, keks: KeyEncryptionKeys, clock: Clock) -> None:
        """Sign up and in at `web`; keep accounts in `store`, opened with PEOPLE."""
        self._web = web
        self._store = store
        self._keks = keks
        self._clock = clock
        self._signed_in: dict[str, Person] = {}
        self._lock = asyncio.Lock()

    async def of(self, profile: str) -> Person:
        """See People."""
        async with self._lock:
            known = self._signed_in.get(profile)
            if known is not None and (await self._web.ask("GET", "/v1/session", token=known.token)).status == 200:
                return known
            kept = await self._load(profile)
            person = await self._sign_in(kept) if kept is not None else None
            if person is None:
                person = await self._make(profile)
            self._signed_in[profile] = person
            return person

    async def _sign_in(self, kept: Kept) -> Person | None:
        """Return the account, signed in; None where it is no more."""
        form = {"address": kept.address, "authentication_key": kept.authentication_key}
        answer = await self._web.ask("POST", "/v1/session", form=form)
        if answer.status == 401:
            return None
        return _person(kept, session_of(answer))

    async def _make(self, profile: str) -> Person:
        kept, token = await sign_up(self._web, profile, self._clock)
        await self._save(profile, kept)
        return _person(kept, token)

    async def _load(self, profile: str) -> Kept | None:
        document = await self._store.get(PEOPLE, profile)
        if document is None:
            return None
        data_key, sealed = document.body["data_key"], document.body["sealed"]
        if not isinstance(data_key, bytes) or not isinstance(sealed, bytes):
            return None
        try:
            key = self._keks.unwrap(data_key, place_of("probe_account", profile, "data_key"))
            return Kept(**json.loads(open_sealed(key, place_of("probe_account", profile, "sealed"), sealed)))
        except InvalidError:
            # Under a key-encryption key that is gone: another account is made.
            return None

    async def _save(self, profile: str, kept: Kept) -> None:
        key = new_data_key()
        content = json.dumps(asdict(kept)).encode()
        body: Body = {
            "profile": profile,
            "data_key": self._keks.wrap(key, place_of("probe_account", profile, "data_key")),
            "sealed": seal(key, place_of("probe_account", profile, "sealed"), content),
        }
        for _ in range(2):
            try:
                await self._store.write(Insert(PEOPLE, profile, body))
                return
            except ConflictError:
                # That of an account that is no more.
                try:
                    await self._store.write(Delete(PEOPLE, profile))
                except NotFoundError:
                    continue


async def sign_up(web: Web, profile: str, clock: Clock, name: str = "probe") -> tuple[Kept, str]:
    """Make an account of `profile` at the door; return what to keep, and the token of its session.

    Raises: UnknowableError("no_account") where nobody can sign up for this profile.
    """
    info = (await web.ask("GET", "/v1/info")).json()
    domains = info.get(_DOMAINS.get(profile, ""), [])
    if not domains or not info.get("sign_up_open"):
        raise UnknowableError("no_account")
    address = f"{name}-{secrets.token_hex(8)}@{domains[0]}"
    password, kdf = secrets.token_urlsafe(24), keys.Kdf.fresh()
    derived = await asyncio.to_thread(keys.derive, password, kdf)
    new = keys.generate(address, unix_seconds(clock))
    form = {
        "address": address,
        "kdf": kdf.to_json(),
        "authentication_key": _b64(derived.authentication.reveal()),
        "certificate": _b64(new.certificate),
        "wrapped_private_key": _b64(keys.wrap(new.secret, new.fingerprint, derived)),
    }
    answer = await web.ask("POST", "/v1/accounts", form=form)
    if answer.status != 201:
        raise UnknowableError("no_account")
    kept = Kept(
        address=address,
        account_id=str(answer.json()["account"]["id"]),
        password=password,
        authentication_key=_b64(derived.authentication.reveal()),
        wrapping_key=_b64(derived.wrapping.reveal()),
        private_key=_b64(new.secret.reveal()),
        fingerprint=new.fingerprint,
        certificate=_b64(new.certificate),
    )
    return kept, session_of(answer)


def private_key(person: Person) -> keys.PrivateKey:
    """Return the key of an account of ours."""
    return keys.PrivateKey(Secret(person.private_key), person.fingerprint)


def _person(kept: Kept, token: str) -> Person:
    return Person(
        address=kept.address,
        account_id=kept.account_id,
        token=token,
        authentication_key=base64.b64decode(kept.authentication_key),
        wrapping_key=base64.b64decode(kept.wrapping_key),
        password=kept.password,
        private_key=base64.b64decode(kept.private_key),
        fingerprint=kept.fingerprint,
        certificate=base64.b64decode(kept.certificate),
    )


def signed_out(person: Person) -> Person:
    """Return `person` without a session."""
    return replace(person, token="")


def session_of(answer: Answer) -> str:
    """Return the token of the session that an answer begins. Raises: UnknowableError("no_account")."""
    if answer.status not in (200, 201):
        raise UnknowableError("no_account")
    for cookie in answer.all("set-cookie"):
        name, _, rest = cookie.partition("=")
        if name == "__Host-session":
            return rest.partition(";")[0]
    raise UnknowableError("no_account")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
