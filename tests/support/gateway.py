"""The gateway on a real socket, before the real services behind real mutual TLS; all of it in one process."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from libs.client.openpgp import GeneratedKey, KeyMaterial, build_key
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.envelope import KeyedHash, KeyEncryptionKeys
from libs.net.http import Fetched, GuardedHttp
from libs.owner.rpc import serve_owner
from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.ids import new_id, new_message_id
from libs.runtime.secret import Secret
from protos.accounts.v1 import accounts_pb2
from protos.analytics.v1.analytics_pb2_grpc import add_AnalyticsServicer_to_server
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from protos.crypto.v1.crypto_pb2_grpc import add_CryptoServicer_to_server
from protos.events.v1 import events_pb2
from protos.retention.v1.retention_pb2_grpc import add_RetentionServicer_to_server
from protos.storage.v1 import storage_pb2
from protos.storage.v1.storage_pb2_grpc import add_StorageServicer_to_server
from services.accounts.domain.model import Role
from services.accounts.domain.notices import Notices
from services.accounts.domain.staff import Staff
from services.accounts.graph import Graph as AccountsGraph
from services.accounts.graph import make_graph
from services.accounts.held.graph import make_owner
from services.accounts.repository import COLLECTIONS as ACCOUNTS
from services.accounts.rpc import serve_accounts
from services.accounts.settings import Settings as AccountsSettings
from services.crypto import rpc as crypto_rpc
from services.crypto.domain.directory import Directory
from services.crypto.domain.dkim import DkimKeys, Roots
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys
from services.crypto.domain.sealing import Sealer
from services.crypto.repository import COLLECTIONS as CRYPTO
from services.crypto.repository import CertificateRepository, DkimRepository, KeyRepository, MailKeyRepository
from services.gateway import peers as gateway_peers
from services.gateway.http.app import create_app
from services.gateway.http.guard import Guard
from services.gateway.http.serve import serving
from services.gateway.lookup import KeyLookup
from services.gateway.peers import Peers
from services.gateway.push import Hub
from services.gateway.settings import Settings
from services.storage import rpc as storage_rpc
from services.storage.main import compose
from services.storage.repository import COLLECTIONS as STORAGE
from tests.support.fake_analytics import FakeAnalytics
from tests.support.fake_retention import FakeRetention
from tests.support.gateway_delivery import start_delivery
from tests.support.rpc import certificates

FRAME = {"content-type": "application/vnd.sealpost.frame"}
MEMBERS, PUBLIC = "sealpost.test", "public.sealpost.test"
ANALYTICS = "sealpost.analytics.v1.Analytics"
RETENTION = "sealpost.retention.v1.Retention"
CALLERS = ("gateway", "ingest", "delivery")
LETTER = b"Subject: hello\r\n\r\nhello\r\n"
# Long past: the OpenPGP library looks at the machine's clock.
_CREATED = 1_704_067_200
_DAY = 86400


@dataclass
class Member:
    """Somebody who has signed up: his proof, his key, his cookie."""

    address: str
    authentication_key: bytes
    key: GeneratedKey
    token: str = ""
    account: dict[str, Any] = field(default_factory=dict)

    @property
    def cookie(self) -> dict[str, str]:
        """The header that a browser of his sends."""
        return {"cookie": f"__Host-session={self.token}"}


@dataclass
class Site:
    """A gateway that serves at `url`; `client` behaves as its own page does."""

    url: str
    port: int
    client: httpx.AsyncClient
    app: Guard
    hub: Hub
    peers: Peers
    staff: Staff
    notices: Notices
    analytics: FakeAnalytics
    retention: FakeRetention
    stack: AsyncExitStack

    async def sign_up(self, name: str, **changes: Any) -> Member:
        """Return a new member `name`."""
        member = new_member(f"{name}@{MEMBERS}")
        answer = await self.client.post("/v1/accounts", json=sign_up_form(member) | changes)
        assert answer.status_code == 201, answer.text
        member.token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        member.account = answer.json()["account"]
        return member

    async def make_operator(self, member: Member) -> None:
        """Give `member` the role operator, as its owner does on the machine."""
        await self.staff.grant(member.address, Role.OPERATOR)

    async def deliver(self, address: str, raw: bytes = LETTER, subject: str = "hello") -> str:
        """Seal and store a mail as ingest does, and announce it; return its id."""
        clock, peers = SystemClock(), self.peers
        (route,) = (await peers.accounts.Resolve(accounts_pb2.ResolveRequest(addresses=[address]), timeout=5)).routes
        now, message_id = clock.now(), new_message_id(clock)
        target = common_pb2.SealTarget(account_id=route.account_id)
        if not route.account_id:
            destroy_after = int(now.timestamp()) + 6 * _DAY
            day = common_pb2.PublicDay(domain=route.domain, day=f"{now:%Y-%m-%d}", destroy_after=destroy_after)
            target = common_pb2.SealTarget(public_day=day)
        envelope = json.dumps({"v": 1, "subject": subject, "rcpt": address}).encode()
        item = crypto_pb2.SealItem(target=target, message_id=message_id, envelope=envelope, body=raw)
        (result,) = (await peers.crypto.Seal(crypto_pb2.SealRequest(items=[item]), timeout=30)).results
        assert result.WhichOneof("result") == "sealed", result.failure.reason
        minute = int(now.timestamp()) // 60
        await self._store(route, message_id, minute, len(raw), result.sealed)
        payload = events_pb2.MailStored(mailbox_id=route.mailbox_id, message_id=message_id, folder="inbox")
        await self.hub.on_stored(Event(new_id(), "mail.stored.v1", payload.SerializeToString()))
        return message_id

    async def _store(
        self, route: accounts_pb2.Route, message_id: str, minute: int, size: int, sealed: crypto_pb2.Sealed
    ) -> None:
        staged = len(sealed.body) > 1024 * 1024
        if staged:
            await self.peers.storage.Stage(_blocks(route.mailbox_id, message_id, sealed.body), timeout=60)
        message = storage_pb2.NewMessage(
            mailbox_id=route.mailbox_id,
            message_id=message_id,
            received_minute=minute,
            size=size,
            expires_at=minute * 60 + route.retention_seconds if route.retention_seconds else 0,
            scheme=sealed.scheme,
            key_id=sealed.key_id,
            envelope=sealed.envelope,
            body=b"" if staged else sealed.body,
            body_staged=staged,
            keep_newest=route.keep_newest,
        )
        delivery = storage_pb2.Delivery(delivery_id=new_id(), messages=[message])
        request = storage_pb2.AppendRequest(deliveries=[delivery])
        (appended,) = (await self.peers.storage.Append(request, timeout=30)).results
        assert appended.WhichOneof("result") == "appended", appended.failure.reason


async def _blocks(mailbox_id: str, message_id: str, data: bytes) -> AsyncIterator[storage_pb2.StageBlock]:
    size = 256 * 1024
    yield storage_pb2.StageBlock(mailbox_id=mailbox_id, message_id=message_id, data=data[:size])
    for start in range(size, len(data), size):
        yield storage_pb2.StageBlock(data=data[start : start + size])


def b64(data: bytes) -> str:
    """Return base64 as the API wants it."""
    return base64.b64encode(data).decode("ascii")


def new_member(address: str, lifetime: int = 0, name: str = "") -> Member:
    """Return somebody who has not signed up; his key names him, or `name`; `lifetime` in seconds, 0 for ever."""
    key = build_key(f"<{name or address}>", _CREATED, KeyMaterial.generate(), lifetime)
    return Member(address, secrets.token_bytes(32), key)


def kdf_form(**changes: Any) -> dict[str, Any]:
    """Return derivation parameters."""
    salt = b64(secrets.token_bytes(16))
    return {"algorithm": "argon2id", "salt": salt, "memory_kib": 65536, "iterations": 3, "parallelism": 1} | changes


def sign_up_form(member: Member) -> dict[str, Any]:
    """Return the body of a sign-up. The key is not really wrapped: nobody but its owner would notice."""
    return {
        "address": member.address,
        "kdf": kdf_form(),
        "authentication_key": b64(member.authentication_key),
        "certificate": b64(member.key.certificate),
        "wrapped_private_key": b64(b"\x01" + secrets.token_bytes(200)),
    }


@asynccontextmanager
async def running_site(
    directory: Path,
    web: Path | None = None,
    accounts: dict[str, Any] | None = None,
    delivery: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Site]:
    """Give a site with its data in `directory`; `settings` are those of the gateway, the others those of services."""
    async with AsyncExitStack() as stack:
        known: dict[str, Any] = {"http_address": "127.0.0.1:0", "drain_seconds": 3.0}
        chosen = Settings(web_dir=web or directory / "no-page", **(known | settings))
        graph, accounts_store = await _accounts(stack, directory, accounts or {})
        analytics, retention = FakeAnalytics(now=lambda: unix_seconds(SystemClock())), FakeRetention()
        addresses = {
            "accounts": await _serve(stack, "accounts", lambda server: _add_accounts(server, graph, accounts_store)),
            "crypto": await _serve(stack, "crypto", await _crypto(stack, directory)),
            "storage": await _serve(stack, "storage", await _storage(stack, directory)),
        }
        sending = addresses.copy()
        addresses["analytics"] = await _serve(
            stack, "analytics", lambda server: server.add(add_AnalyticsServicer_to_server, analytics, ANALYTICS)
        )
        addresses["retention"] = await _serve(
            stack, "retention", lambda server: server.add(add_RetentionServicer_to_server, retention, RETENTION)
        )
        addresses["delivery"] = await start_delivery(
            stack, directory, sending, {"resolvers": chosen.resolvers} | (delivery or {})
        )
        tls = TlsFiles(certificates("gateway"))
        channels = {
            name: await stack.enter_async_context(connect(name, address, tls)) for name, address in addresses.items()
        }
        peers = gateway_peers.connect(channels.__getitem__, 10.0)
        clock, hub = SystemClock(), Hub()
        http = await stack.enter_async_context(_http(chosen)) if chosen.resolvers else NoDirectories()
        lookup = KeyLookup(http, clock, chosen.fetch_ports[0])
        stack.push_async_callback(lookup.aclose)
        app = create_app(chosen, peers, hub, clock, lookup)
        _, port = await stack.enter_async_context(serving(app, chosen))
        stack.callback(hub.close)
        host = "[::1]" if ":" in chosen.http_address.rpartition(":")[0] else "127.0.0.1"
        url = f"http://{host}:{port}"
        client = httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=30)
        await stack.enter_async_context(client)
        yield Site(url, port, client, app, hub, peers, graph.staff, graph.rights.notices, analytics, retention, stack)


def _http(settings: Settings) -> GuardedHttp:
    return GuardedHttp(
        resolvers=settings.resolvers,
        allowed_networks=settings.allowed_networks,
        ports=settings.fetch_ports,
        ca_file=settings.ca_file,
    )


class NoDirectories:
    """A world without key directories, for sites that have no resolver of their own: nothing may leave the machine."""

    async def fetch(self, method: str, url: str, *, max_bytes: int, seconds: float) -> Fetched:
        """Find nobody."""
        raise UnavailableError("unreachable")


def framed(header: dict[str, Any], body: bytes) -> bytes:
    """Return a frame (docs/architecture.md)."""
    head = json.dumps(header).encode()
    return len(head).to_bytes(4, "big") + head + body


async def _serve(stack: AsyncExitStack, name: str, add: Callable[[RpcServer], None]) -> str:
    server = RpcServer("127.0.0.1:0", TlsFiles(certificates(name)), CALLERS)
    add(server)
    await server.start()
    stack.push_async_callback(server.stop, 0)
    return f"127.0.0.1:{server.port}"


def _add_accounts(server: RpcServer, graph: AccountsGraph, store: SqliteStore) -> None:
    serve_accounts(server, graph, SystemClock(), CALLERS)
    serve_owner(server, make_owner(graph, store, SystemClock()), None, CALLERS)


async def _accounts(
    stack: AsyncExitStack, directory: Path, chosen: dict[str, Any]
) -> tuple[AccountsGraph, SqliteStore]:
    settings = AccountsSettings(kek=Secret("11" * 32), lookup_key=Secret(b"\x22" * 32), **chosen)
    store = await stack.enter_async_context(SqliteStore.open(directory / "accounts.db", ACCOUNTS))
    return make_graph(settings, store, SystemClock()), store


async def _crypto(stack: AsyncExitStack, directory: Path) -> Any:
    clock, lookup = SystemClock(), KeyedHash(Secret(b"l" * 32))
    store = await stack.enter_async_context(SqliteStore.open(directory / "crypto.db", CRYPTO))
    kek = KeyEncryptionKeys({1: Secret(b"k" * 32)})
    keys = DataKeys(KeyRepository(store), kek, lookup, clock, (100, 60.0))
    certificates_kept = Directory(CertificateRepository(store), keys, lookup, clock, (100, 300.0))
    mail_keys = MailKeys(MailKeyRepository(store), kek, clock, keys.compaction)
    dkim = DkimKeys(DkimRepository(store), Roots(kek, lookup), clock, keys.compaction, (100, 60.0))
    sealer = Sealer(certificates_kept, keys, clock, 256 * 1024 * 1024)
    servicer = crypto_rpc.CryptoRpc(certificates_kept, keys, sealer, crypto_rpc.OutboundKeys(mail_keys, dkim))
    return lambda server: server.add(add_CryptoServicer_to_server, servicer, crypto_rpc.SERVICE)


async def _storage(stack: AsyncExitStack, directory: Path) -> Any:
    store = await stack.enter_async_context(SqliteStore.open(directory / "storage.db", STORAGE))
    graph = compose(store, SystemClock(), 72 * 1024 * 1024)
    servicer = storage_rpc.StorageRpc(graph.parts, 8)

    def add(server: RpcServer) -> None:
        server.add(add_StorageServicer_to_server, servicer, storage_rpc.SERVICE)
        serve_owner(server, graph.owner, None, CALLERS)

    return add
