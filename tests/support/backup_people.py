"""Many people of a running platform, each with an account, a certificate, a private key and mail.

They come in where the gateway hands people on: by its calls, in its order, with its certificate. So everything about
them is as it is of anybody, but for two things: no limit of the edge counts them, and their keys are drawn instead of
derived from a password, since a thousand times Argon2id is minutes.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import smtplib
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

from libs.client import keys
from libs.client.http import COOKIE
from libs.docstore import open_store
from libs.owner.terms import StoredTerms
from libs.policy import Terms, load_policy
from libs.rpc.channel import connect
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.errors import NotFoundError, SealpostError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from libs.runtime.settings import load
from protos.accounts.v1 import accounts_pb2
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.crypto.v1 import crypto_pb2
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub
from protos.storage.v1 import storage_pb2
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.accounts.graph import make_graph
from services.accounts.repository import COLLECTIONS
from services.accounts.settings import Settings
from services.gateway import wkd
from tests.support.ledger_procs import environment
from tests.support.platform import RunningPlatform

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.crypto.v1.crypto_pb2_grpc import CryptoAsyncStub
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub

SENDER = "bob@elsewhere.example"
_AT_ONCE = 32
_RECIPIENTS = 100
_SECONDS = 30.0
_IDS = re.compile(rb"[0-9a-f]{32,}")
_ID_DIGITS = 32
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Person:
    """Somebody with an account. `derived`: what a password would have become."""

    address: str
    account_id: str
    mailbox_id: str
    fingerprint: str
    derived: keys.DerivedKeys


@dataclass(frozen=True)
class Inside:
    """What the gateway calls."""

    accounts: AccountsAsyncStub
    crypto: CryptoAsyncStub
    storage: StorageAsyncStub


@asynccontextmanager
async def inside(platform: RunningPlatform) -> AsyncIterator[Inside]:
    """Call the services of a running platform as its gateway does."""
    tls = TlsFiles(platform.home / "tls" / "gateway")
    pids = platform.pids()
    places = {name: environment(pids[name])["SEALPOST_GRPC_ADDRESS"] for name in ("accounts", "crypto", "storage")}
    async with (
        connect("accounts", places["accounts"], tls) as accounts,
        connect("crypto", places["crypto"], tls) as crypto,
        connect("storage", places["storage"], tls) as storage,
    ):
        yield Inside(AccountsStub(accounts), CryptoStub(crypto), StorageStub(storage))


async def side_by_side(do: Callable[[T], Awaitable[R]], many: Iterable[T]) -> list[R]:
    """Do something with each of many, some at once; return the results in order."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> R:
        async with limit:
            return await do(item)

    return await asyncio.gather(*map(one, many))


async def sign_up_many(platform: RunningPlatform, count: int) -> list[Person]:
    """Make accounts as the gateway makes them."""
    async with inside(platform) as services:
        return await side_by_side(lambda _: _sign_up(services, platform.member_domain), range(count))


async def _sign_up(services: Inside, domain: str) -> Person:
    # Names that no hexadecimal id can contain.
    name = "".join(secrets.choice(string.ascii_lowercase[6:]) for _ in range(12))
    address = f"{name}@{domain}"
    new = keys.generate(address, unix_seconds(SystemClock()))
    derived = keys.DerivedKeys(Secret(os.urandom(32)), Secret(os.urandom(32)))
    listing = crypto_pb2.PutCertificateRequest(
        account_id=new_id(), certificate=new.certificate, domain=domain, wkd_hash=wkd.hash_of(name), unlisted=True
    )
    put = await services.crypto.PutCertificate(listing, timeout=_SECONDS)
    request = accounts_pb2.SignUpRequest(
        account_id=listing.account_id,
        address=address,
        kdf=accounts_pb2.Kdf(salt=os.urandom(16), memory_kib=65536, iterations=3, parallelism=1),
        authentication_key=derived.authentication.reveal(),
        wrapped_private_key=keys.wrap(new.secret, new.fingerprint, derived),
        fingerprint=put.fingerprint,
    )
    signed = await services.accounts.SignUp(request, timeout=_SECONDS)
    listing.unlisted = False
    await services.crypto.PutCertificate(listing, timeout=_SECONDS)
    return Person(address, listing.account_id, signed.account.mailbox_id, put.fingerprint, derived)


async def close_many(home: Path, people: Sequence[Person]) -> list[str]:
    """Have accounts erased without grace, as staff do at the command line; return the tokens of the receipts."""
    places = {"STORE": f"sqlite:{home / 'data' / 'accounts'}", "TLS_DIR": str(home / "tls" / "accounts")}
    places |= {f"{name.upper()}_FILE": str(home / "secrets" / "accounts" / name) for name in ("kek", "lookup_key")}
    settings = load(Settings, {f"SEALPOST_{name}": text for name, text in places.items()})
    store = await open_store(settings.store.reveal(), "accounts", COLLECTIONS)
    try:
        terms = Terms(load_policy())
        await StoredTerms(store, terms).load()
        staff = make_graph(settings, store, SystemClock(), terms).staff
        return await side_by_side(lambda one: staff.close_account(one.address), people)
    finally:
        await store.close()


def send_to_many(platform: RunningPlatform, people: Sequence[Person], text: str) -> None:
    """Have everybody sent a mail by the MX, many recipients at a time."""
    content = f"Subject: to many\r\n\r\n{text}\r\n".encode()
    with smtplib.SMTP(platform.smtp_host, platform.smtp_port, timeout=_SECONDS) as smtp:
        for start in range(0, len(people), _RECIPIENTS):
            part = [one.address for one in people[start : start + _RECIPIENTS]]
            refused = smtp.sendmail(SENDER, part, content)
            assert not refused, f"{len(refused)} recipients refused"


async def mails_of_many(platform: RunningPlatform, people: Sequence[Person]) -> list[list[str]]:
    """Return the ids of everybody's mails."""
    async with inside(platform) as services:

        async def ids(person: Person) -> list[str]:
            request = storage_pb2.ListRequest(mailbox_id=person.mailbox_id)
            return [mail.message_id for mail in (await services.storage.List(request, timeout=_SECONDS)).messages]

        return await side_by_side(ids, people)


async def what_opens(platform: RunningPlatform, people: Sequence[Person]) -> set[str]:
    """Return what there still is of any of them: behind sign-in, address, certificate, mailbox."""
    async with inside(platform) as services:
        found = await side_by_side(lambda one: _what_opens(services, one), people)
    return set().union(*found)


async def _what_opens(services: Inside, one: Person) -> set[str]:
    proof = accounts_pb2.SignInRequest(address=one.address, authentication_key=one.derived.authentication.reveal())
    resolve = accounts_pb2.ResolveRequest(addresses=[one.address])
    local_part, _, domain = one.address.partition("@")
    listed = crypto_pb2.FindCertificateRequest(domain=domain, wkd_hash=wkd.hash_of(local_part))
    routes = (await services.accounts.Resolve(resolve, timeout=_SECONDS)).routes
    asked: dict[str, Awaitable[object]] = {
        "sign-in": services.accounts.SignIn(proof, timeout=_SECONDS),
        "account": services.accounts.GetAccount(
            accounts_pb2.GetAccountRequest(account_id=one.account_id), timeout=_SECONDS
        ),
        "certificate": services.crypto.GetCertificate(
            crypto_pb2.GetCertificateRequest(account_id=one.account_id), timeout=_SECONDS
        ),
        "listed certificate": services.crypto.FindCertificate(listed, timeout=_SECONDS),
    }
    left = {"route"} if any(route.account_id for route in routes) else set()
    for what, call in asked.items():
        try:
            await call
        except SealpostError as error:
            assert error.reason not in {"too_many_attempts", "deadline"}, f"{what}: {error.reason}"
        else:
            left.add(what)
    try:
        mails = await services.storage.List(storage_pb2.ListRequest(mailbox_id=one.mailbox_id), timeout=_SECONDS)
    except NotFoundError:
        return left
    return left | ({"mail"} if mails.messages else set())


async def read_by_many(platform: RunningPlatform, people: Sequence[Person]) -> list[list[bytes]]:
    """Return everybody's mails, opened: signed in, listed and read by the HTTP API, each from an address of its own."""

    async def read(numbered: tuple[int, Person]) -> list[bytes]:
        number, person = numbered
        # In the clear; reading a list of authorities for everybody would take longer than his mail.
        transport = httpx.AsyncHTTPTransport(verify=False, local_address=f"127.79.{number // 250}.{number % 250 + 1}")
        async with httpx.AsyncClient(base_url=platform.url, transport=transport, timeout=_SECONDS) as http:
            return await _read(http, platform.url, person)

    return await side_by_side(read, list(enumerate(people)))


async def _read(http: httpx.AsyncClient, origin: str, person: Person) -> list[bytes]:
    proof = base64.b64encode(person.derived.authentication.reveal()).decode()
    given = {"address": person.address, "authentication_key": proof}
    answer = (await http.post("/v1/session", json=given, headers={"Origin": origin})).raise_for_status()
    wrapped = base64.b64decode(answer.json()["account"]["wrapped_private_key"])
    key = keys.PrivateKey(keys.unwrap(wrapped, person.fingerprint, person.derived), person.fingerprint)
    session = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"}
    listed = (await http.get("/v1/messages", headers=session)).raise_for_status().json()["messages"]
    bodies = [await http.get(f"/v1/messages/{mail['id']}/body", headers=session) for mail in listed]
    return [key.open(body.raise_for_status().content) for body in bodies]


def found_of(home: Path, ids: set[str]) -> dict[str, set[str]]:
    """Return which of `ids` (32 hexadecimal digits) stand in the files of which service.

    Left out are retention, which names who must stay erased, and the event store, which no backup holds.
    """
    wanted = {one.encode() for one in ids}
    found: dict[str, set[str]] = {}
    for path in sorted((home / "data").rglob("*")):
        service = path.relative_to(home / "data").parts[0]
        if path.is_file() and service not in {"retention", "nats"}:
            here = {
                run[at : at + _ID_DIGITS]
                for run in _IDS.findall(path.read_bytes())
                for at in range(len(run) - _ID_DIGITS + 1)
            }
            found[service] = found.get(service, set()) | {one.decode() for one in here & wanted}
    return {service: here for service, here in found.items() if here}
