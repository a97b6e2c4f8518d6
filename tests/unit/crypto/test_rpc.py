"""The gRPC face, over real mutual TLS: who may call what, what comes back, and how refusals look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

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
from services.crypto.rpc import CALLERS, SERVICE, CryptoRpc
from tests.support.rpc import certificates
from tests.unit.crypto.support import DOMAIN, TODAY, World, make_key, opened

if TYPE_CHECKING:
    from protos.crypto.v1.crypto_pb2_grpc import CryptoAsyncStub

KEY = make_key()
DAY = SealTarget(public_day=PublicDay(domain=TODAY.domain, day=TODAY.day, destroy_after=TODAY.destroy_after))


@asynccontextmanager
async def crypto(here: World) -> AsyncIterator[tuple[CryptoAsyncStub, CryptoAsyncStub]]:
    """Yield the stubs of gateway and ingest to one server."""
    tls = {name: TlsFiles(certificates(name)) for name in ("crypto", "gateway", "ingest")}
    server = RpcServer("127.0.0.1:0", tls["crypto"], ("gateway", "ingest"))
    server.add(add_CryptoServicer_to_server, CryptoRpc(here.directory, here.keys, here.sealer), SERVICE)
    for method, callers in CALLERS.items():
        server.restrict(f"/{SERVICE}/{method}", callers)
    await server.start()
    address = f"127.0.0.1:{server.port}"
    try:
        async with connect("crypto", address, tls["gateway"]) as one, connect("crypto", address, tls["ingest"]) as two:
            yield CryptoStub(one), CryptoStub(two)
    finally:
        await server.stop(0)


def put_request(account: str) -> pb.PutCertificateRequest:
    return pb.PutCertificateRequest(
        account_id=account, certificate=KEY.certificate, domain=DOMAIN, wkd_hash=wkd_hash_of("ada")
    )


async def test_from_certificate_to_sealed_mail_and_back(here: World) -> None:
    account, message_id = new_id(), new_id()
    async with crypto(here) as (gateway, ingest):
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
    async with crypto(here) as (gateway, ingest):
        await gateway.PutCertificate(put_request(account), timeout=5)
        await gateway.DeleteCertificate(pb.DeleteCertificateRequest(account_id=account), timeout=5)
        with pytest.raises(NotFoundError, match="certificate_unknown"):
            await gateway.GetCertificate(pb.GetCertificateRequest(account_id=account), timeout=5)
        await gateway.DestroyPublicDay(pb.DestroyPublicDayRequest(domain=TODAY.domain, day=TODAY.day), timeout=5)
        item = pb.SealItem(target=DAY, message_id=new_id(), envelope=b"{}", body=b"mail")
        (result,) = (await ingest.Seal(pb.SealRequest(items=[item]), timeout=5)).results
        assert result.failure.reason == "key_destroyed"


async def test_refusals_keep_their_reason(here: World) -> None:
    async with crypto(here) as (gateway, ingest):
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
    async with crypto(here) as (gateway, _):
        request = put_request(account)
        request.unlisted = True
        await gateway.PutCertificate(request, timeout=5)
        with pytest.raises(NotFoundError):
            await gateway.FindCertificate(
                pb.FindCertificateRequest(domain=DOMAIN, wkd_hash=wkd_hash_of("ada")), timeout=5
            )


@pytest.mark.parametrize("method", sorted(CALLERS))
async def test_each_method_has_its_callers(here: World, method: str) -> None:
    request = getattr(pb, f"{method}Request")()
    async with crypto(here) as stubs:
        for name, stub in zip(("gateway", "ingest"), stubs, strict=True):
            try:
                await getattr(stub, method)(request, timeout=5)
                denied = False
            except DeniedError:
                denied = True
            except (InvalidError, NotFoundError):
                denied = False
            assert denied == (name not in CALLERS[method])


def test_every_method_is_restricted() -> None:
    service = pb.DESCRIPTOR.services_by_name["Crypto"]
    assert {method.name for method in service.methods} == set(CALLERS)
