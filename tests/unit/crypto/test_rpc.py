"""The gRPC face, over real mutual TLS: who may call what, what comes back, and how refusals look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from libs.runtime.ids import new_id
from protos.common.v1.common_pb2 import PublicDay, SealTarget
from protos.crypto.v1 import crypto_pb2 as pb
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub, add_CryptoServicer_to_server
from services.crypto.domain.certificates import wkd_hash_of
from services.crypto.rpc import CALLERS, SERVICE, CryptoRpc, OutboundKeys
from tests.support.rpc import certificates
from tests.unit.crypto.support import DOMAIN, TODAY, World, make_key, opened

if TYPE_CHECKING:
    from protos.crypto.v1.crypto_pb2_grpc import CryptoAsyncStub

KEY = make_key()
# Requests that are not called after their method.
REQUESTS = {
    "GetDataKeys": "DataKeysRequest",
    "DestroyDataKeys": "DataKeysRequest",
    "EnsureDkimKeys": "DkimDomainRequest",
    "DeleteDkimKeys": "DkimDomainRequest",
}
DAY = SealTarget(public_day=PublicDay(domain=TODAY.domain, day=TODAY.day, destroy_after=TODAY.destroy_after))


class Callers(NamedTuple):
    """A stub of each service that may call."""

    gateway: CryptoAsyncStub
    ingest: CryptoAsyncStub
    delivery: CryptoAsyncStub


@asynccontextmanager
async def crypto(here: World) -> AsyncIterator[Callers]:
    """Yield the stubs of all callers to one server."""
    tls = {name: TlsFiles(certificates(name)) for name in ("crypto", *Callers._fields)}
    server = RpcServer("127.0.0.1:0", tls["crypto"], Callers._fields)
    servicer = CryptoRpc(here.directory, here.keys, here.sealer, OutboundKeys(here.mail_keys, here.dkim))
    server.add(add_CryptoServicer_to_server, servicer, SERVICE)
    for method, callers in CALLERS.items():
        server.restrict(f"/{SERVICE}/{method}", callers)
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        channels = [connect("crypto", f"127.0.0.1:{server.port}", tls[name]) for name in Callers._fields]
        yield Callers(*[CryptoStub(await stack.enter_async_context(channel)) for channel in channels])


def put_request(account: str) -> pb.PutCertificateRequest:
    return pb.PutCertificateRequest(
        account_id=account, certificate=KEY.certificate, domain=DOMAIN, wkd_hash=wkd_hash_of("ada")
    )


async def test_from_certificate_to_sealed_mail_and_back(here: World) -> None:
    account, message_id = new_id(), new_id()
    async with crypto(here) as (gateway, ingest, _):
        put = await gateway.PutCertificate(put_request(account), timeout=5)
        assert put.fingerprint == KEY.fingerprint
        got = await gateway.GetCertificate(pb.GetCertificateRequest(account_id=account), timeout=5)
        found = await gateway.FindCertificate(
            pb.FindCertificateRequest(domain=DOMAIN, wkd_hash=wkd_hash_of("ada")), timeout=5
        )
        assert got.certificate == found.certificate == KEY.certificate
        items = [
            pb.SealItem(target=target, message_id=message_id, envelope=b"{}", body=b"mail")
            for target in (SealTarget(account_id=account), SealTarget(account_id=new_id()), DAY, SealTarget())
        ]
        mine, unknown, public, nobody = (await ingest.Seal(pb.SealRequest(items=items), timeout=5)).results
        assert opened(KEY, mine.sealed.body) == b"mail"
        assert (mine.sealed.scheme, mine.sealed.key_id) == ("openpgp", KEY.fingerprint)
        assert (unknown.failure.code, unknown.failure.reason) == ("not_found", "certificate_unknown")
        assert nobody.failure.reason == "certificate_unknown"
        field = pb.SEALED_FIELD_BODY
        wanted = [
            pb.OpenItem(key_id=public.sealed.key_id, message_id=message_id, field=field, ciphertext=public.sealed.body),
            pb.OpenItem(key_id=KEY.fingerprint, message_id=message_id, field=field, ciphertext=mine.sealed.body),
            pb.OpenItem(key_id=public.sealed.key_id, message_id=message_id, ciphertext=public.sealed.body),
        ]
        plain, denied, fieldless = (await gateway.Open(pb.OpenRequest(items=wanted), timeout=5)).results
        assert plain.plaintext == b"mail"
        assert (denied.failure.code, denied.failure.reason) == ("denied", "not_public")
        assert fieldless.failure.reason == "field"


async def test_deletion_and_destruction(here: World) -> None:
    account = new_id()
    async with crypto(here) as (gateway, ingest, _):
        await gateway.PutCertificate(put_request(account), timeout=5)
        await gateway.DeleteCertificate(pb.DeleteCertificateRequest(account_id=account), timeout=5)
        with pytest.raises(NotFoundError, match="certificate_unknown"):
            await gateway.GetCertificate(pb.GetCertificateRequest(account_id=account), timeout=5)
        await gateway.DestroyPublicDay(pb.DestroyPublicDayRequest(domain=TODAY.domain, day=TODAY.day), timeout=5)
        item = pb.SealItem(target=DAY, message_id=new_id(), envelope=b"{}", body=b"mail")
        (result,) = (await ingest.Seal(pb.SealRequest(items=[item]), timeout=5)).results
        assert result.failure.reason == "key_destroyed"


async def test_refusals_keep_their_reason(here: World) -> None:
    async with crypto(here) as (gateway, ingest, _):
        await gateway.PutCertificate(put_request(new_id()), timeout=5)
        with pytest.raises(ConflictError, match="address_taken"):
            await gateway.PutCertificate(put_request(new_id()), timeout=5)
        with pytest.raises(InvalidError, match="certificate_not_binary"):
            await gateway.PutCertificate(pb.PutCertificateRequest(account_id=new_id(), certificate=b"x"), timeout=5)
        with pytest.raises(InvalidError, match="too_many_items"):
            await ingest.Seal(pb.SealRequest(items=[pb.SealItem()] * 1001), timeout=5)
        with pytest.raises(InvalidError, match="too_many_items"):
            await gateway.Open(pb.OpenRequest(items=[pb.OpenItem()] * 1001), timeout=5)


async def test_unlisted_certificates(here: World) -> None:
    account = new_id()
    async with crypto(here) as (gateway, _, _):
        request = put_request(account)
        request.unlisted = True
        await gateway.PutCertificate(request, timeout=5)
        with pytest.raises(NotFoundError):
            await gateway.FindCertificate(
                pb.FindCertificateRequest(domain=DOMAIN, wkd_hash=wkd_hash_of("ada")), timeout=5
            )


@pytest.mark.parametrize("method", sorted(CALLERS))
async def test_each_method_has_its_callers(here: World, method: str) -> None:
    request = REQUESTS.get(method, f"{method}Request")
    async with crypto(here) as stubs:
        for name, stub in stubs._asdict().items():
            try:
                await getattr(stub, method)(getattr(pb, request)(), timeout=5)
                denied = False
            except DeniedError:
                denied = True
            except (InvalidError, NotFoundError):
                denied = False
            assert denied == (name not in CALLERS[method])


def test_every_method_is_restricted() -> None:
    service = pb.DESCRIPTOR.services_by_name["Crypto"]
    assert {method.name for method in service.methods} == set(CALLERS)


async def test_data_keys_are_made_found_and_destroyed(here: World) -> None:
    later = int(here.clock.now().timestamp()) + 40 * 86_400
    async with crypto(here) as stubs:
        delivery = stubs.delivery
        made = (await delivery.NewDataKeys(pb.NewDataKeysRequest(count=3, destroy_after=later), timeout=5)).keys
        ids = [key.key_id for key in made]
        await delivery.DestroyDataKeys(pb.DataKeysRequest(key_ids=[ids[1], "absent"]), timeout=5)
        first, second, third = (await delivery.GetDataKeys(pb.DataKeysRequest(key_ids=ids), timeout=5)).results
        assert (first.key, third.key) == (made[0].key, made[2].key)
        assert (second.failure.code, second.failure.reason) == ("not_found", "key_destroyed")
        for method in (delivery.GetDataKeys, delivery.DestroyDataKeys):
            with pytest.raises(InvalidError, match="too_many_items"):
                await method(pb.DataKeysRequest(key_ids=["x"] * 1001), timeout=5)
        with pytest.raises(InvalidError, match="key_count"):
            await delivery.NewDataKeys(pb.NewDataKeysRequest(count=1001, destroy_after=later), timeout=5)
        opened = pb.OpenItem(key_id=ids[0], message_id=new_id(), field=pb.SEALED_FIELD_BODY, ciphertext=b"x")
        (denied,) = (await stubs.gateway.Open(pb.OpenRequest(items=[opened]), timeout=5)).results
        assert denied.failure.reason == "not_public"


async def test_dkim_keys_are_made_used_and_deleted(here: World) -> None:
    domain = pb.DkimDomainRequest(domain="relay.sealpost.test")
    async with crypto(here) as stubs:
        delivery = stubs.delivery
        keys = (await delivery.EnsureDkimKeys(domain, timeout=10)).keys
        assert [key.algorithm for key in keys] == ["rsa-sha256", "ed25519-sha256"]
        assert (await delivery.EnsureDkimKeys(domain, timeout=10)).keys == keys
        items = [pb.SignDkimItem(domain=domain.domain, selector=key.selector, digest=b"d" * 32) for key in keys]
        items.append(pb.SignDkimItem(domain="other.test", selector=keys[0].selector, digest=b"d" * 32))
        rsa, ed25519, unknown = (await delivery.SignDkim(pb.SignDkimRequest(items=items), timeout=5)).results
        assert (len(rsa.signature), len(ed25519.signature)) == (256, 64)
        assert (unknown.failure.code, unknown.failure.reason) == ("not_found", "dkim_key_unknown")
        await delivery.DeleteDkimKeys(domain, timeout=5)
        (gone,) = (await delivery.SignDkim(pb.SignDkimRequest(items=items[:1]), timeout=5)).results
        assert gone.failure.reason == "dkim_key_unknown"
        with pytest.raises(InvalidError, match="dkim_domain"):
            await delivery.EnsureDkimKeys(pb.DkimDomainRequest(domain="Relay.test"), timeout=5)
        with pytest.raises(InvalidError, match="too_many_items"):
            await delivery.SignDkim(pb.SignDkimRequest(items=[pb.SignDkimItem()] * 1001), timeout=5)
