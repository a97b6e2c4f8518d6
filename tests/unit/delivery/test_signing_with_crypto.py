"""The signer with the real service crypto behind mutual TLS: what it signs verifies with dkimpy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dkim
import pytest

from libs.runtime.clock import SystemClock
from libs.runtime.errors import InvalidError
from protos.crypto.v1 import crypto_pb2 as pb
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub, add_CryptoServicer_to_server
from services.crypto.rpc import SERVICE, CryptoRpc, OutboundKeys
from services.delivery.signing import DkimSigner
from tests.support.rpc import serve
from tests.unit.crypto.support import world

MAIL = b"From: ada@example.org\r\nTo: bob@example.net\r\nSubject: x\r\n\r\nText  \r\n\r\n"


async def test_signatures_of_the_real_keys_verify(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        servicer = CryptoRpc(here.directory, here.keys, here.sealer, OutboundKeys(here.mail_keys, here.dkim))
        async with serve((add_CryptoServicer_to_server, servicer, SERVICE), "delivery", ("delivery",)) as channel:
            stub = CryptoStub(channel)
            signer = DkimSigner(stub, SystemClock())
            signed = await asyncio.gather(
                *(signer.sign(b"X: %d\r\n" % number + MAIL, "example.org") for number in range(20))
            )
            published = await stub.EnsureDkimKeys(pb.DkimDomainRequest(domain="example.org"), timeout=5)
            records = {
                f"{key.selector}._domainkey.example.org.".encode(): key.record.encode() for key in published.keys
            }
            for mail in signed:
                verifier = dkim.DKIM(mail)
                assert all(verifier.verify(n, dnsfunc=lambda name, timeout=5: records[name]) for n in range(2))
            with pytest.raises(InvalidError):
                await signer.sign(MAIL, "not a domain")
            await signer.close()
