"""Makes password.json: what every client must derive from a password (docs/architecture.md, "Password derivation").

The figures come from argon2-cffi and cryptography, so the page (hash-wasm, WebCrypto) and the Python client are each
compared with an implementation that is not their own. `python -m tests.support.vectors.password` prints the document.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PASSWORDS = (
    "correct horse battery staple",
    "a",
    "  leading and trailing  ",
    "Zu\u0308rich \ufb01nal \uff11\uff12\uff13",
    "\u03bb\u1f79\u03b3\u03bf\u03c2 \U0001f4ee",
    "p" * 300,
)


def document() -> dict[str, object]:
    """Return the vectors: passwords, recovery codes, wrapped keys; all bytes base64."""
    return {
        "derivation": [_derivation(index, password) for index, password in enumerate(_PASSWORDS)],
        "recovery": [_recovery(seed) for seed in (b"\x00" * 20, b"\xff" * 20, hashlib.sha1(b"code").digest())],  # noqa: S324
        "wrapping": [_wrapping(size) for size in (0, 1, 613)],
    }


def _derivation(index: int, password: str) -> dict[str, object]:
    normalised = unicodedata.normalize("NFKC", password).encode()
    salt = hashlib.sha256(f"salt {index}".encode()).digest()[:16]
    root = hash_secret_raw(normalised, salt, time_cost=3, memory_cost=65536, parallelism=1, hash_len=32, type=Type.ID)
    return {
        "password": password,
        "kdf": {"algorithm": "argon2id", "salt": _b64(salt), "memory_kib": 65536, "iterations": 3, "parallelism": 1},
        "normalised": _b64(normalised),
        "root": _b64(root),
        "authentication_key": _b64(_hkdf(root, "sealpost/v1/authentication")),
        "wrap_key": _b64(_hkdf(root, "sealpost/v1/wrapping")),
    }


def _recovery(seed: bytes) -> dict[str, object]:
    number = int.from_bytes(seed, "big")
    characters = "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(32)))
    return {
        "code": "-".join(characters[at : at + 4] for at in range(0, 32, 4)),
        "bytes": _b64(seed),
        "authentication_key": _b64(_hkdf(seed, "sealpost/v1/recovery-authentication")),
        "wrap_key": _b64(_hkdf(seed, "sealpost/v1/recovery-wrapping")),
    }


def _wrapping(size: int) -> dict[str, object]:
    key = hashlib.sha256(f"wrap {size}".encode()).digest()
    nonce = hashlib.sha256(f"nonce {size}".encode()).digest()[:12]
    plaintext = hashlib.shake_128(f"key {size}".encode()).digest(size)
    fingerprint = hashlib.sha1(f"print {size}".encode()).hexdigest()  # noqa: S324
    aad = f"sealpost/v1/private-key/{fingerprint}".encode()
    return {
        "wrap_key": _b64(key),
        "nonce": _b64(nonce),
        "fingerprint": fingerprint,
        "private_key": _b64(plaintext),
        "wrapped": _b64(b"\x01" + nonce + AESGCM(key).encrypt(nonce, plaintext, aad)),
    }


def _hkdf(ikm: bytes, info: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info.encode()).derive(ikm)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
