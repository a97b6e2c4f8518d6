"""The part of crypto that signs, in memory: real keys, the stub's own calls."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils

from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_ED25519 = ed25519.Ed25519PrivateKey.generate()


class FakeCrypto:
    """A crypto_pb2_grpc.CryptoAsyncStub as far as DKIM goes."""

    def __init__(self) -> None:
        """Work, until told otherwise."""
        self.selector = "s1"
        self.batches: list[int] = []
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.refuse: set[str] = set()

    async def EnsureDkimKeys(self, request: crypto_pb2.DkimDomainRequest, timeout: float) -> crypto_pb2.DkimKeys:
        """Return the keys; the same for each domain."""
        self.asked.append(request.domain)
        if self.fault is not None:
            raise self.fault
        der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        raw = _ED25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        public = base64.b64encode(_RSA.public_key().public_bytes(der, info)).decode()
        return crypto_pb2.DkimKeys(
            keys=[
                crypto_pb2.DkimKey(
                    selector=f"{self.selector}r", algorithm="rsa-sha256", record=f"v=DKIM1; k=rsa; p={public}"
                ),
                crypto_pb2.DkimKey(
                    selector=f"{self.selector}e",
                    algorithm="ed25519-sha256",
                    record=f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}",
                ),
            ]
        )

    async def SignDkim(self, request: crypto_pb2.SignDkimRequest, timeout: float) -> crypto_pb2.SignDkimResponse:
        """Sign with the keys of now."""
        if self.fault is not None:
            raise self.fault
        self.batches.append(len(request.items))
        return crypto_pb2.SignDkimResponse(results=[self._result(item) for item in request.items])

    def _result(self, item: crypto_pb2.SignDkimItem) -> crypto_pb2.SignDkimResult:
        if item.domain in self.refuse:
            return crypto_pb2.SignDkimResult(failure=common_pb2.Failure(code="unavailable", reason="kek_missing"))
        if item.selector == f"{self.selector}r":
            hashed = utils.Prehashed(hashes.SHA256())
            return crypto_pb2.SignDkimResult(signature=_RSA.sign(item.digest, padding.PKCS1v15(), hashed))
        if item.selector == f"{self.selector}e":
            return crypto_pb2.SignDkimResult(signature=_ED25519.sign(item.digest))
        return crypto_pb2.SignDkimResult(failure=common_pb2.Failure(code="not_found", reason="dkim_key_unknown"))

    async def records(self, domain: str) -> dict[bytes, bytes]:
        """Return what the domain publishes, by name."""
        keys = (await self.EnsureDkimKeys(crypto_pb2.DkimDomainRequest(domain=domain), 1.0)).keys
        return {f"{key.selector}._domainkey.{domain}.".encode(): key.record.encode() for key in keys}
