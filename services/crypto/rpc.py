"""The gRPC face of crypto: decode, let the domain do it, encode."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

import grpc

from libs.runtime.errors import InvalidError, SealpostError
from libs.runtime.secret import Secret
from libs.telemetry import metrics
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from protos.crypto.v1.crypto_pb2_grpc import CryptoServicer
from services.crypto.domain.directory import Directory, Entry
from services.crypto.domain.dkim import DkimKeys
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys
from services.crypto.domain.model import AES_256_GCM, OPENPGP, Certificate, OpenItem, PublicDay, Sealed, SignItem
from services.crypto.domain.sealing import FIELDS, Sealer

SERVICE = "sealpost.crypto.v1.Crypto"
# Who may call what (RpcServer.restrict). ingest only seals; delivery seals what goes to mailboxes of ours, and has the
# keys of its queue and the signatures; the gateway has the directory and public mail.
CALLERS = {
    "Seal": ("ingest", "delivery"),
    "Open": ("gateway",),
    "PutCertificate": ("gateway",),
    "GetCertificate": ("gateway",),
    "FindCertificate": ("gateway",),
    "DeleteCertificate": ("gateway",),
    "DestroyPublicDay": ("gateway",),
    "NewDataKeys": ("delivery",),
    "GetDataKeys": ("delivery",),
    "DestroyDataKeys": ("delivery",),
    "EnsureDkimKeys": ("delivery",),
    "SignDkim": ("delivery",),
    "DeleteDkimKeys": ("delivery",),
}
MAX_ITEMS = 1000

_SEALED = metrics.counter(
    "sealpost_crypto_sealed_total",
    "Mails sealed, by scheme, or refused.",
    {"outcome": (OPENPGP, AES_256_GCM, "failed")},
)
_OPENED = metrics.counter("sealpost_crypto_opened_total", "Public fields opened.", {"outcome": ("ok", "failed")})
_SIGNED = metrics.counter(
    "sealpost_crypto_dkim_signed_total", "Digests signed, or refused.", {"outcome": ("ok", "failed")}
)
_SEAL_SECONDS = metrics.histogram("sealpost_crypto_seal_seconds", "Time to seal one batch.")
_SIGN_SECONDS = metrics.histogram("sealpost_crypto_dkim_sign_seconds", "Time to sign one batch.")

_Context = grpc.aio.ServicerContext[object, object]
_FIELD_NAMES = {crypto_pb2.SEALED_FIELD_ENVELOPE: FIELDS[0], crypto_pb2.SEALED_FIELD_BODY: FIELDS[1]}


@dataclass(frozen=True)
class OutboundKeys:
    """What mail on its way out needs."""

    mail: MailKeys
    dkim: DkimKeys


class CryptoRpc(CryptoServicer):
    """Serves sealpost.crypto.v1.Crypto."""

    def __init__(self, directory: Directory, keys: DataKeys, sealer: Sealer, outbound: OutboundKeys) -> None:
        """Serve these."""
        self._directory = directory
        self._keys = keys
        self._sealer = sealer
        self._outbound = outbound

    async def PutCertificate(
        self, request: crypto_pb2.PutCertificateRequest, context: _Context
    ) -> crypto_pb2.PutCertificateResponse:
        """Keep a certificate and, with a name, list it."""
        entry = Entry(
            request.account_id, request.certificate, request.domain, request.wkd_hash, listed=not request.unlisted
        )
        return crypto_pb2.PutCertificateResponse(fingerprint=await self._directory.put(entry))

    async def GetCertificate(
        self, request: crypto_pb2.GetCertificateRequest, context: _Context
    ) -> crypto_pb2.Certificate:
        """Return an account's certificate."""
        return _certificate(await self._directory.get(request.account_id))

    async def FindCertificate(
        self, request: crypto_pb2.FindCertificateRequest, context: _Context
    ) -> crypto_pb2.Certificate:
        """Return the certificate listed under a name."""
        return _certificate(await self._directory.find(request.domain, request.wkd_hash))

    async def DeleteCertificate(
        self, request: crypto_pb2.DeleteCertificateRequest, context: _Context
    ) -> crypto_pb2.DeleteCertificateResponse:
        """Remove an account's certificate and destroy its data key."""
        await self._directory.delete(request.account_id)
        return crypto_pb2.DeleteCertificateResponse()

    async def Seal(self, request: crypto_pb2.SealRequest, context: _Context) -> crypto_pb2.SealResponse:
        """Seal a batch."""
        _bounded(request.items)
        with _SEAL_SECONDS.time():
            results = await self._sealer.seal([_RequestItem(item) for item in request.items])
        return crypto_pb2.SealResponse(results=[_seal_result(result) for result in results])

    async def Open(self, request: crypto_pb2.OpenRequest, context: _Context) -> crypto_pb2.OpenResponse:
        """Open public mail."""
        _bounded(request.items)
        results = await self._sealer.open([_open_item(item) for item in request.items])
        return crypto_pb2.OpenResponse(results=[_open_result(result) for result in results])

    async def DestroyPublicDay(
        self, request: crypto_pb2.DestroyPublicDayRequest, context: _Context
    ) -> crypto_pb2.DestroyPublicDayResponse:
        """Destroy the key of a public day."""
        await self._keys.destroy_day(request.domain, request.day)
        return crypto_pb2.DestroyPublicDayResponse()

    async def NewDataKeys(
        self, request: crypto_pb2.NewDataKeysRequest, context: _Context
    ) -> crypto_pb2.NewDataKeysResponse:
        """Make data keys."""
        made = await self._outbound.mail.new(request.count, request.destroy_after)
        return crypto_pb2.NewDataKeysResponse(
            keys=[crypto_pb2.DataKey(key_id=key_id, key=secret.reveal()) for key_id, secret in made]
        )

    async def GetDataKeys(
        self, request: crypto_pb2.DataKeysRequest, context: _Context
    ) -> crypto_pb2.GetDataKeysResponse:
        """Return data keys."""
        _bounded(request.key_ids)
        results = await self._outbound.mail.get(request.key_ids)
        return crypto_pb2.GetDataKeysResponse(results=[_key_result(result) for result in results])

    async def DestroyDataKeys(
        self, request: crypto_pb2.DataKeysRequest, context: _Context
    ) -> crypto_pb2.DestroyDataKeysResponse:
        """Destroy data keys."""
        _bounded(request.key_ids)
        await self._outbound.mail.destroy(request.key_ids)
        return crypto_pb2.DestroyDataKeysResponse()

    async def EnsureDkimKeys(self, request: crypto_pb2.DkimDomainRequest, context: _Context) -> crypto_pb2.DkimKeys:
        """Return the public DKIM keys of a domain."""
        keys = await self._outbound.dkim.ensure(request.domain)
        return crypto_pb2.DkimKeys(
            keys=[crypto_pb2.DkimKey(selector=key.selector, algorithm=key.algorithm, record=key.record) for key in keys]
        )

    async def SignDkim(self, request: crypto_pb2.SignDkimRequest, context: _Context) -> crypto_pb2.SignDkimResponse:
        """Sign digests."""
        _bounded(request.items)
        items = [SignItem(item.domain, item.selector, item.digest) for item in request.items]
        with _SIGN_SECONDS.time():
            results = await self._outbound.dkim.sign(items)
        return crypto_pb2.SignDkimResponse(results=[_sign_result(result) for result in results])

    async def DeleteDkimKeys(
        self, request: crypto_pb2.DkimDomainRequest, context: _Context
    ) -> crypto_pb2.DeleteDkimKeysResponse:
        """Destroy the DKIM keys of a domain."""
        await self._outbound.dkim.delete(request.domain)
        return crypto_pb2.DeleteDkimKeysResponse()


def _bounded(items: Sized) -> None:
    if len(items) > MAX_ITEMS:
        raise InvalidError("too_many_items")


def _certificate(found: Certificate) -> crypto_pb2.Certificate:
    return crypto_pb2.Certificate(certificate=found.data, fingerprint=found.fingerprint)


class _RequestItem:
    """A SealItem on the request: a body of many megabytes is copied out of it while it is sealed, not before."""

    def __init__(self, item: crypto_pb2.SealItem) -> None:
        self._item = item
        day = item.target.public_day
        named = item.target.WhichOneof("owner") == "public_day"
        self.owner = PublicDay(day.domain, day.day, day.destroy_after) if named else item.target.account_id
        self.message_id = item.message_id
        self.weight = item.ByteSize()

    @property
    def envelope(self) -> bytes:
        return self._item.envelope

    @property
    def body(self) -> bytes:
        return self._item.body


def _seal_result(result: Sealed | SealpostError) -> crypto_pb2.SealResult:
    if isinstance(result, SealpostError):
        _SEALED.inc(outcome="failed")
        return crypto_pb2.SealResult(failure=_failure(result))
    _SEALED.inc(outcome=result.scheme)
    sealed = crypto_pb2.Sealed(envelope=result.envelope, body=result.body, scheme=result.scheme, key_id=result.key_id)
    return crypto_pb2.SealResult(sealed=sealed)


def _open_item(item: crypto_pb2.OpenItem) -> OpenItem:
    return OpenItem(item.key_id, item.message_id, _FIELD_NAMES.get(item.field, ""), item.ciphertext)


def _open_result(result: bytes | SealpostError) -> crypto_pb2.OpenResult:
    if isinstance(result, SealpostError):
        _OPENED.inc(outcome="failed")
        return crypto_pb2.OpenResult(failure=_failure(result))
    _OPENED.inc(outcome="ok")
    return crypto_pb2.OpenResult(plaintext=result)


def _key_result(result: Secret[bytes] | SealpostError) -> crypto_pb2.DataKeyResult:
    if isinstance(result, SealpostError):
        return crypto_pb2.DataKeyResult(failure=_failure(result))
    return crypto_pb2.DataKeyResult(key=result.reveal())


def _sign_result(result: bytes | SealpostError) -> crypto_pb2.SignDkimResult:
    if isinstance(result, SealpostError):
        _SIGNED.inc(outcome="failed")
        return crypto_pb2.SignDkimResult(failure=_failure(result))
    _SIGNED.inc(outcome="ok")
    return crypto_pb2.SignDkimResult(signature=result)


def _failure(error: SealpostError) -> common_pb2.Failure:
    return common_pb2.Failure(code=error.code, reason=error.reason)
