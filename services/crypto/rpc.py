"""The gRPC face of crypto: decode, let the domain do it, encode."""

from __future__ import annotations

import grpc

from libs.runtime.errors import InvalidError, SealpostError
from libs.telemetry import metrics
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from protos.crypto.v1.crypto_pb2_grpc import CryptoServicer
from services.crypto.domain.directory import Directory, Entry
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.model import AES_256_GCM, OPENPGP, Certificate, OpenItem, PublicDay, Sealed
from services.crypto.domain.sealing import FIELDS, Sealer

SERVICE = "sealpost.crypto.v1.Crypto"
# Who may call what (RpcServer.restrict): ingest only seals, the gateway does everything else.
CALLERS = {
    "Seal": ("ingest",),
    "Open": ("gateway",),
    "PutCertificate": ("gateway",),
    "GetCertificate": ("gateway",),
    "FindCertificate": ("gateway",),
    "DeleteCertificate": ("gateway",),
    "DestroyPublicDay": ("gateway",),
}
MAX_ITEMS = 1000

_SEALED = metrics.counter(
    "sealpost_crypto_sealed_total",
    "Mails sealed, by scheme, or refused.",
    {"outcome": (OPENPGP, AES_256_GCM, "failed")},
)
_OPENED = metrics.counter("sealpost_crypto_opened_total", "Public fields opened.", {"outcome": ("ok", "failed")})
_SEAL_SECONDS = metrics.histogram("sealpost_crypto_seal_seconds", "Time to seal one batch.")

_Context = grpc.aio.ServicerContext[object, object]
_FIELD_NAMES = {crypto_pb2.SEALED_FIELD_ENVELOPE: FIELDS[0], crypto_pb2.SEALED_FIELD_BODY: FIELDS[1]}


class CryptoRpc(CryptoServicer):
    """Serves sealpost.crypto.v1.Crypto."""

    def __init__(self, directory: Directory, keys: DataKeys, sealer: Sealer) -> None:
        """Serve these."""
        self._directory = directory
        self._keys = keys
        self._sealer = sealer

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
        if len(request.items) > MAX_ITEMS:
            raise InvalidError("too_many_items")
        with _SEAL_SECONDS.time():
            results = await self._sealer.seal([_RequestItem(item) for item in request.items])
        return crypto_pb2.SealResponse(results=[_seal_result(result) for result in results])

    async def Open(self, request: crypto_pb2.OpenRequest, context: _Context) -> crypto_pb2.OpenResponse:
        """Open public mail."""
        if len(request.items) > MAX_ITEMS:
            raise InvalidError("too_many_items")
        results = await self._sealer.open([_open_item(item) for item in request.items])
        return crypto_pb2.OpenResponse(results=[_open_result(result) for result in results])

    async def DestroyPublicDay(
        self, request: crypto_pb2.DestroyPublicDayRequest, context: _Context
    ) -> crypto_pb2.DestroyPublicDayResponse:
        """Destroy the key of a public day."""
        await self._keys.destroy_day(request.domain, request.day)
        return crypto_pb2.DestroyPublicDayResponse()


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


def _failure(error: SealpostError) -> common_pb2.Failure:
    return common_pb2.Failure(code=error.code, reason=error.reason)
