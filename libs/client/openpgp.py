"""Makes a private key of the form that members use: OpenPGP v4, Ed25519 with a Curve25519 ECDH subkey.

The packets are built here because the key must not announce SEIPD v2: whoever seals to a certificate that does sends
what GnuPG 2.2 cannot read, and Sequoia announces it in every key that it generates. What is built is small and fixed:
secret key, user id, certification, secret subkey, binding (RFC 9580 10.1), the same shape as `gpg --quick-gen-key` has.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from libs.runtime.secret import Secret

_ED25519 = bytes.fromhex("2b06010401da470f01")
_CURVE25519 = bytes.fromhex("2b060104019755010501")
_EDDSA_LEGACY, _ECDH, _SHA512 = 22, 18, 10
_SECRET_KEY, _PUBLIC_KEY, _SECRET_SUBKEY, _PUBLIC_SUBKEY, _USER_ID, _SIGNATURE = 5, 6, 7, 14, 13, 2
_POSITIVE_CERTIFICATION, _SUBKEY_BINDING = 0x13, 0x18
# SHA-256 and AES-128 to wrap the session key: what GnuPG uses for Curve25519 (RFC 9580 11.5.1).
_KDF = bytes((3, 1, 8, 7))


@dataclass(frozen=True)
class GeneratedKey:
    """A new private key: `secret` is a binary transferable secret key, `certificate` its public half."""

    secret: Secret[bytes]
    certificate: bytes
    fingerprint: str


@dataclass(frozen=True)
class KeyMaterial:
    """The two private keys that an OpenPGP key is made of."""

    signing: Ed25519PrivateKey
    decryption: X25519PrivateKey

    @classmethod
    def generate(cls) -> KeyMaterial:
        """Return new random ones."""
        return cls(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())


def build_key(user_id: str, created: int, material: KeyMaterial, lifetime: int = 0) -> GeneratedKey:
    """Return the key made of `material`, with one user id, made at `created` (Unix seconds) and good for `lifetime`
    seconds (0: for ever).
    """
    primary, primary_secret = _signing_key(material.signing, created)
    subkey, subkey_secret = _decryption_key(material.decryption, created)
    name = user_id.encode()
    signer = _Signer(material.signing, created, hashlib.sha1(_hashed(primary), usedforsecurity=False).digest())
    # Absent, the key does not expire (RFC 9580 5.2.3.13).
    expiry = _subpacket(9, lifetime.to_bytes(4, "big")) if lifetime else b""
    certification = signer.sign(
        _POSITIVE_CERTIFICATION,
        _PREFERENCES + expiry,
        _hashed(primary) + b"\xb4" + len(name).to_bytes(4, "big") + name,
    )
    # Key flags: encrypts communications and storage.
    binding = signer.sign(_SUBKEY_BINDING, _subpacket(27, b"\x0c") + expiry, _hashed(primary) + _hashed(subkey))
    middle = _packet(_USER_ID, name) + _packet(_SIGNATURE, certification)
    end = _packet(_SIGNATURE, binding)
    return GeneratedKey(
        Secret(
            _packet(_SECRET_KEY, primary + primary_secret)
            + middle
            + _packet(_SECRET_SUBKEY, subkey + subkey_secret)
            + end
        ),
        _packet(_PUBLIC_KEY, primary) + middle + _packet(_PUBLIC_SUBKEY, subkey) + end,
        signer.fingerprint.hex(),
    )


@dataclass(frozen=True)
class _Signer:
    key: Ed25519PrivateKey
    created: int
    fingerprint: bytes

    def sign(self, kind: int, subpackets: bytes, subject: bytes) -> bytes:
        """Return the body of a v4 signature packet over `subject` (RFC 9580 5.2.3, 5.2.4)."""
        hashed = (
            _subpacket(2, self.created.to_bytes(4, "big")) + subpackets + _subpacket(33, b"\x04" + self.fingerprint)
        )
        head = bytes((4, kind, _EDDSA_LEGACY, _SHA512)) + len(hashed).to_bytes(2, "big") + hashed
        trailer = b"\x04\xff" + len(head).to_bytes(4, "big")
        digest = hashlib.sha512(subject + head + trailer).digest()
        signature = self.key.sign(digest)
        unhashed = _subpacket(16, self.fingerprint[-8:])
        return (
            head
            + len(unhashed).to_bytes(2, "big")
            + unhashed
            + digest[:2]
            + _mpi(signature[:32])
            + _mpi(signature[32:])
        )


def _signing_key(key: Ed25519PrivateKey, created: int) -> tuple[bytes, bytes]:
    point = b"\x40" + key.public_key().public_bytes_raw()
    return _public_key(created, _EDDSA_LEGACY, _ED25519) + _mpi(point), _unprotected(key.private_bytes_raw())


def _decryption_key(key: X25519PrivateKey, created: int) -> tuple[bytes, bytes]:
    point = b"\x40" + key.public_key().public_bytes_raw()
    scalar = bytearray(key.private_bytes_raw())
    # Stored clamped and big-endian (RFC 9580 5.5.5.6.1.1); GnuPG does not clamp what it reads.
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    return _public_key(created, _ECDH, _CURVE25519) + _mpi(point) + _KDF, _unprotected(bytes(reversed(scalar)))


def _public_key(created: int, algorithm: int, curve: bytes) -> bytes:
    return b"\x04" + created.to_bytes(4, "big") + bytes((algorithm, len(curve))) + curve


def _unprotected(secret: bytes) -> bytes:
    # No protection of its own: it leaves memory only wrapped under a key derived from the password.
    mpi = _mpi(secret)
    return b"\x00" + mpi + (sum(mpi) % 65536).to_bytes(2, "big")


def _hashed(public: bytes) -> bytes:
    return b"\x99" + len(public).to_bytes(2, "big") + public


def _mpi(value: bytes) -> bytes:
    number = value.lstrip(b"\x00")
    bits = len(number) * 8 - (8 - number[0].bit_length()) if number else 0
    return bits.to_bytes(2, "big") + number


def _subpacket(kind: int, value: bytes) -> bytes:
    return bytes((len(value) + 1, kind)) + value


def _packet(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 192:
        length = bytes((size,))
    else:
        length = (
            bytes(((size - 192 >> 8) + 192, size - 192 & 255)) if size < 8384 else b"\xff" + size.to_bytes(4, "big")
        )
    return bytes((0xC0 | tag,)) + length + body


# Certifies and signs; AES-256; SHA-512, SHA-256; uncompressed; primary user id; the features are integrity protection
# of version 1 alone.
_PREFERENCES = (
    _subpacket(27, b"\x03")
    + _subpacket(11, b"\x09")
    + _subpacket(21, b"\x0a\x08")
    + _subpacket(22, b"\x00")
    + _subpacket(25, b"\x01")
    + _subpacket(30, b"\x01")
)
