"""The services behind the gateway, in memory, at their RPC interfaces; and a gateway over them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from libs.runtime.errors import ConflictError, NotFoundError, UnauthenticatedError
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from protos.storage.v1 import storage_pb2
from services.gateway.http.app import create_app
from services.gateway.http.guard import Guard
from services.gateway.lookup import KeyLookup
from services.gateway.peers import Peers
from services.gateway.push import Hub
from services.gateway.settings import Settings
from tests.support.clock import ManualClock
from tests.support.fake_analytics import FakeAnalytics
from tests.support.fake_delivery import FakeDelivery
from tests.support.fake_retention import FakeRetention
from tests.unit.gateway.fake_http import FakeHttp
from tests.unit.gateway.fake_storage import FakeStorage

ORIGIN = "http://mail.test"
TOKEN = "t" * 43
MESSAGE = "0" * 31 + "1"
PUBLIC_MAILBOX = "b" * 32


@dataclass
class FakeAccounts:
    """One member, one session, one API key that may read."""

    taken: set[str] = field(default_factory=set)
    signed_out: list[str] = field(default_factory=list)
    sign_up_error: Exception | None = None
    sign_in_error: Exception | None = None
    resolve_error: Exception | None = None
    list_error: Exception | None = None
    earlier_id: str = ""
    authenticated: int = 0

    async def Resolve(self, request: accounts_pb2.ResolveRequest, timeout: float) -> accounts_pb2.ResolveResponse:
        if self.resolve_error is not None:
            raise self.resolve_error
        return accounts_pb2.ResolveResponse(routes=[self._route(address) for address in request.addresses])

    def _route(self, address: str) -> accounts_pb2.Route:
        domain = address.rpartition("@")[2]
        if domain == "public.test":
            return accounts_pb2.Route(
                status=accounts_pb2.Route.STATUS_OK, profile=common_pb2.PROFILE_PUBLIC, mailbox_id=PUBLIC_MAILBOX,
                domain=domain, keep_newest=6, retention_seconds=345600, address=address.lower(),
            )  # fmt: skip
        if domain == "member.test" and address.startswith("nobody@"):
            return accounts_pb2.Route(status=accounts_pb2.Route.STATUS_UNKNOWN, address=address.lower())
        if domain == "member.test":
            return accounts_pb2.Route(
                status=accounts_pb2.Route.STATUS_OK,
                profile=common_pb2.PROFILE_SEALED,
                mailbox_id="a" * 32,
                account_id="c" * 32,
                quota_bytes=1000,
                quota_messages=10,
                address=address.lower(),
            )
        return accounts_pb2.Route(status=accounts_pb2.Route.STATUS_NOT_OURS, address=address.lower())

    async def ListDomains(
        self, request: accounts_pb2.ListDomainsRequest, timeout: float
    ) -> accounts_pb2.ListDomainsResponse:
        return accounts_pb2.ListDomainsResponse(
            domains=[
                accounts_pb2.Domain(name="member.test", profile=common_pb2.PROFILE_SEALED, open_for_sign_up=True),
                accounts_pb2.Domain(name="relay.test", profile=common_pb2.PROFILE_RELAY, open_for_sign_up=True),
                accounts_pb2.Domain(name="public.test", profile=common_pb2.PROFILE_PUBLIC),
            ]
        )

    async def GetKdf(self, request: accounts_pb2.GetKdfRequest, timeout: float) -> accounts_pb2.GetKdfResponse:
        return accounts_pb2.GetKdfResponse(kdf=_KDF)

    async def SignUp(self, request: accounts_pb2.SignUpRequest, timeout: float) -> accounts_pb2.SignInResponse:
        if request.address in self.taken:
            raise ConflictError("address_taken")
        if self.sign_up_error is not None:
            raise self.sign_up_error
        self.taken.add(request.address)
        return accounts_pb2.SignInResponse(
            session_token=TOKEN, account=_account(self.earlier_id or request.account_id, request.address)
        )

    async def ListSessions(
        self, request: accounts_pb2.ListSessionsRequest, timeout: float
    ) -> accounts_pb2.ListSessionsResponse:
        if self.list_error is not None:
            raise self.list_error
        session = accounts_pb2.Session(session_id="s1", created_hour=1_800_000_000, last_used_hour=1_800_003_600)
        return accounts_pb2.ListSessionsResponse(sessions=[session])

    async def SignIn(self, request: accounts_pb2.SignInRequest, timeout: float) -> accounts_pb2.SignInResponse:
        if self.sign_in_error is not None:
            raise self.sign_in_error
        if request.authentication_key != b"k" * 32:
            raise UnauthenticatedError("bad_proof")
        return accounts_pb2.SignInResponse(session_token=TOKEN, account=_account("c" * 32, request.address))

    async def Authenticate(self, request: accounts_pb2.AuthenticateRequest, timeout: float) -> accounts_pb2.Principal:
        self.authenticated += 1
        if request.session_token == TOKEN:
            return accounts_pb2.Principal(
                account_id="c" * 32, mailbox_id="a" * 32, proof_id="s1", profile=common_pb2.PROFILE_SEALED
            )
        if request.api_key == "sp_read":
            return accounts_pb2.Principal(account_id="c" * 32, mailbox_id="a" * 32, scopes=["mail:read"], proof_id="k1")
        raise UnauthenticatedError("session_invalid")

    async def GetAccount(self, request: accounts_pb2.GetAccountRequest, timeout: float) -> accounts_pb2.Account:
        return _account(request.account_id, "ada@member.test")

    async def SignOut(self, request: accounts_pb2.SignOutRequest, timeout: float) -> accounts_pb2.SignOutResponse:
        self.signed_out.append(request.session_token)
        return accounts_pb2.SignOutResponse()


@dataclass
class FakeCrypto:
    """Keeps certificates by account and by listing; opens by taking a prefix away."""

    certificates: dict[str, bytes] = field(default_factory=dict)
    listing_error: Exception | None = None
    listed: dict[tuple[str, str], bytes] = field(default_factory=dict)

    async def PutCertificate(
        self, request: crypto_pb2.PutCertificateRequest, timeout: float
    ) -> crypto_pb2.PutCertificateResponse:
        if self.listing_error is not None and not request.unlisted:
            raise self.listing_error
        self.certificates[request.account_id] = request.certificate
        if request.wkd_hash and not request.unlisted:
            self.listed[request.domain, request.wkd_hash] = request.certificate
        return crypto_pb2.PutCertificateResponse(fingerprint="f" * 40)

    async def GetCertificate(self, request: crypto_pb2.GetCertificateRequest, timeout: float) -> crypto_pb2.Certificate:
        return crypto_pb2.Certificate(certificate=b"certificate", fingerprint="f" * 40)

    async def DeleteCertificate(
        self, request: crypto_pb2.DeleteCertificateRequest, timeout: float
    ) -> crypto_pb2.DeleteCertificateResponse:
        self.certificates.pop(request.account_id, None)
        return crypto_pb2.DeleteCertificateResponse()

    async def FindCertificate(
        self, request: crypto_pb2.FindCertificateRequest, timeout: float
    ) -> crypto_pb2.Certificate:
        if self.listing_error is not None:
            raise self.listing_error
        found = self.listed.get((request.domain, request.wkd_hash))
        if found is None:
            raise NotFoundError("certificate_unknown")
        return crypto_pb2.Certificate(certificate=found)

    async def Open(self, request: crypto_pb2.OpenRequest, timeout: float) -> crypto_pb2.OpenResponse:
        results = [
            crypto_pb2.OpenResult(plaintext=item.ciphertext.removeprefix(b"sealed:"))
            if item.key_id == "day"
            else crypto_pb2.OpenResult(failure=common_pb2.Failure(code="not_found", reason="key_destroyed"))
            for item in request.items
        ]
        return crypto_pb2.OpenResponse(results=results)


_KDF = accounts_pb2.Kdf(salt=b"s" * 16, memory_kib=65536, iterations=3, parallelism=1)


def _account(account_id: str, address: str) -> accounts_pb2.Account:
    return accounts_pb2.Account(
        account_id=account_id, mailbox_id="a" * 32, profile=common_pb2.PROFILE_SEALED, address=address,
        fingerprint="f" * 40, wrapped_private_key=b"w" * 60, kdf=_KDF, quota_bytes=1000,
    )  # fmt: skip


def stored_message(key_id: str = "day", **changes: Any) -> storage_pb2.Message:
    """Return a message as storage would."""
    message = storage_pb2.Message(
        mailbox_id="a" * 32, message_id=MESSAGE, received_minute=29_000_000, size=100, folder="inbox",
        scheme="aes-256-gcm", key_id=key_id, envelope=b'sealed:{"v":1,"subject":"hello"}', body_size=53,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@dataclass
class Gateway:
    """A gateway over fakes, and a client of it that behaves like a page of its own."""

    accounts: FakeAccounts
    crypto: FakeCrypto
    storage: FakeStorage
    delivery: FakeDelivery
    analytics: FakeAnalytics
    retention: FakeRetention
    http: FakeHttp
    hub: Hub
    clock: ManualClock
    client: httpx.AsyncClient
    app: Guard

    def sign_in(self) -> None:
        """Give the client the session cookie."""
        self.client.headers["cookie"] = f"__Host-session={TOKEN}"


@asynccontextmanager
async def gateway(web: Path, **settings: Any) -> AsyncIterator[Gateway]:
    """Give a gateway that serves the page in `web`."""
    accounts, crypto, storage, hub, clock = FakeAccounts(), FakeCrypto(), FakeStorage(), Hub(), ManualClock()
    # The stubs' methods without a channel.
    delivery, analytics, retention = FakeDelivery(), FakeAnalytics(), FakeRetention()
    stubs: Any = (accounts, crypto, storage, delivery, analytics, retention, 5.0)
    peers = Peers(*stubs)
    http = FakeHttp()
    lookup = KeyLookup(http, clock)
    app = create_app(Settings(web_dir=web, **settings), peers, hub, clock, lookup)
    transport = httpx.ASGITransport(app=app, client=("192.0.2.1", 5000), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
        yield Gateway(accounts, crypto, storage, delivery, analytics, retention, http, hub, clock, client, app)
    await lookup.aclose()
