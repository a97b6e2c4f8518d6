"""The user's keys: derived from the password, wrapped, generated, used - docs/architecture.md, "Password derivation".

The password itself goes nowhere. Argon2id stretches it to a root, HKDF splits the root into the authentication key,
which is sent, and the wrapping key, which never leaves this process; from the one the other cannot be had.

The cost parameters come from the server, so they are held between bounds: a server must not be able to ask for a
cheaper derivation and so get a key from which the password is easily guessed, nor for one that stops the machine.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr

import pysequoia
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.client import signatures
from libs.client.errors import RefusedError
from libs.client.openpgp import GeneratedKey, KeyMaterial, build_key
from libs.runtime.secret import Secret

MIN_PASSWORD_CHARACTERS = 10

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 32
_WRAPPED_VERSION = 1
_NONCE = 12
_TAG = 16
_DAY = 86_400


@dataclass(frozen=True)
class Kdf:
    """Parameters of Argon2id (RFC 9106); the defaults are what new passwords get and the least that is accepted."""

    salt: bytes
    memory_kib: int = 65536
    iterations: int = 3
    parallelism: int = 1

    @classmethod
    def fresh(cls) -> Kdf:
        """Return parameters for a new password."""
        return cls(secrets.token_bytes(16))

    @classmethod
    def from_json(cls, given: Mapping[str, object]) -> Kdf:
        """Return the parameters of an answer. Raises RefusedError("kdf_parameters") if they are out of bounds."""
        try:
            salt = base64.b64decode(str(given["salt"]), validate=True)
            numbers = [given[name] for name in ("memory_kib", "iterations", "parallelism")]
            within = all(
                isinstance(number, int) and low <= number <= high
                for number, (low, high) in zip(numbers, ((65536, 2**20), (3, 16), (1, 8)), strict=True)
            )
        except (KeyError, binascii.Error) as error:
            raise _unsafe_parameters() from error
        if given.get("algorithm") != "argon2id" or len(salt) != 16 or not within:
            raise _unsafe_parameters()
        memory_kib, iterations, parallelism = (int(str(number)) for number in numbers)
        return cls(salt, memory_kib, iterations, parallelism)

    def to_json(self) -> dict[str, object]:
        """Return them as the API writes them."""
        return {
            "algorithm": "argon2id",
            "salt": base64.b64encode(self.salt).decode(),
            "memory_kib": self.memory_kib,
            "iterations": self.iterations,
            "parallelism": self.parallelism,
        }


@dataclass(frozen=True)
class DerivedKeys:
    """What a password or a recovery code becomes: one key to send, one to keep. 32 bytes each."""

    authentication: Secret[bytes]
    wrapping: Secret[bytes]


def derive(password: str, kdf: Kdf) -> DerivedKeys:
    """Return the keys of a password. Takes about 0.2 seconds and 64 MiB."""
    root = hash_secret_raw(
        unicodedata.normalize("NFKC", password).encode(),
        kdf.salt,
        time_cost=kdf.iterations,
        memory_cost=kdf.memory_kib,
        parallelism=kdf.parallelism,
        hash_len=32,
        type=Type.ID,
    )
    return DerivedKeys(_hkdf(root, "sealpost/v1/authentication"), _hkdf(root, "sealpost/v1/wrapping"))


def new_recovery_code() -> str:
    """Return 160 random bits as 32 characters of Crockford's base 32, in groups of four."""
    return format_recovery_code(secrets.token_bytes(20))


def format_recovery_code(seed: bytes) -> str:
    """Return 20 bytes as they are shown."""
    number = int.from_bytes(seed, "big")
    text = "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(_CODE_CHARACTERS)))
    return "-".join(text[at : at + 4] for at in range(0, _CODE_CHARACTERS, 4))


def derive_recovery(code: str) -> DerivedKeys:
    """Return the keys of a recovery code; case, spaces, hyphens and the letters people misread do not matter.

    Raises: RefusedError("recovery_code_malformed").
    """
    text = "".join(code.upper().split()).replace("-", "").translate(str.maketrans("OIL", "011"))
    if len(text) != _CODE_CHARACTERS or not set(text) <= set(_CROCKFORD):
        raise RefusedError("recovery_code_malformed", "a recovery code has 32 letters and digits in groups of four")
    number = 0
    for character in text:
        number = number << 5 | _CROCKFORD.index(character)
    seed = number.to_bytes(20, "big")
    return DerivedKeys(_hkdf(seed, "sealpost/v1/recovery-authentication"), _hkdf(seed, "sealpost/v1/recovery-wrapping"))


def wrap(private_key: Secret[bytes], fingerprint: str, keys: DerivedKeys) -> bytes:
    """Return a binary private key in the form that the server keeps."""
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(keys.wrapping.reveal()).encrypt(nonce, private_key.reveal(), _aad(fingerprint))
    return bytes((_WRAPPED_VERSION,)) + nonce + sealed


def unwrap(wrapped: bytes, fingerprint: str, keys: DerivedKeys) -> Secret[bytes]:
    """Return the binary private key.

    Raises: RefusedError("wrong_password") if it was wrapped under another key, for another fingerprint, or is damaged.
    """
    if len(wrapped) > _NONCE + _TAG and wrapped[0] == _WRAPPED_VERSION:
        cipher = AESGCM(keys.wrapping.reveal())
        try:
            plain = cipher.decrypt(wrapped[1 : 1 + _NONCE], wrapped[1 + _NONCE :], _aad(fingerprint))
            return Secret(plain)
        except InvalidTag:
            pass
    raise RefusedError("wrong_password", "the private key does not open with this password")


def generate(address: str, now: int) -> GeneratedKey:
    """Return a new private key for `address`, dated at the beginning of the day before `now` (Unix seconds).

    Dated back, because a server whose clock is behind would have to refuse a key of the future; to the day, because the
    date is public and the time of day is nobody's business.
    """
    return build_key(f"<{address}>", (now // _DAY - 1) * _DAY, KeyMaterial.generate())


def check_certificate(certificate: bytes, fingerprint: str, names: str) -> None:
    """Raise unless `certificate` has this fingerprint and, unless `names` is empty, is of that address.

    Raises: RefusedError("certificate_unusable").
    """
    try:
        found = pysequoia.Cert.from_bytes(certificate)
        addresses = [parseaddr(str(user_id))[1].lower() for user_id in found.user_ids]
    except RuntimeError as error:
        raise RefusedError("certificate_unusable", "a certificate of the directory cannot be read") from error
    if str(found.fingerprint).lower() != fingerprint.lower() or (names and names.lower() not in addresses):
        raise RefusedError("certificate_unusable", "a certificate of the directory is not what it is said to be")


class PrivateKey:
    """An unlocked private key."""

    def __init__(self, secret: Secret[bytes], fingerprint: str) -> None:
        """Take a binary transferable secret key. Raises RefusedError if it is none, or not of `fingerprint`."""
        try:
            key = pysequoia.Tsk.from_bytes(secret.reveal())
            self._certificate = key.extract_certificate()
            self._decryptor, self._signer = key.decryptor(), key.signer()
        except RuntimeError as error:
            raise RefusedError("private_key_malformed", "the private key cannot be read") from error
        if str(self._certificate.fingerprint) != fingerprint:
            raise RefusedError("private_key_foreign", "the private key is not that of this account")
        self._secret = secret
        self.fingerprint = fingerprint

    def open(self, message: bytes) -> bytes:
        """Return the plaintext of a message sealed to this key.

        Raises: RefusedError("cannot_open") for any other message, and for one that is changed: nothing is returned
        without integrity protection.
        """
        try:
            plaintext = pysequoia.decrypt(message, decryptor=self._decryptor).bytes
        except RuntimeError as error:
            raise RefusedError("cannot_open", "the mail does not open with this key") from error
        if plaintext is None:
            raise RefusedError("cannot_open", "the mail does not open with this key")
        return plaintext

    def open_checked(self, message: bytes, writer: bytes | None) -> signatures.Opened:
        """Return the plaintext and what its signature is worth, checked with the certificate `writer` if there is one.

        Raises: RefusedError("cannot_open") as `open` does.
        """
        try:
            return signatures.open_checked(self._decryptor, message, writer)
        except RuntimeError as error:
            raise RefusedError("cannot_open", "the mail does not open with this key") from error

    def seal(self, plaintext: bytes, certificate: bytes) -> bytes:
        """Return a binary message, signed by this key and encrypted to one certificate alone.

        Raises: RefusedError("certificate_unusable").
        """
        return self._seal(plaintext, certificate, armor=False)

    def seal_armoured(self, plaintext: bytes, certificate: bytes) -> str:
        """Return the same as text."""
        return self._seal(plaintext, certificate, armor=True).decode("ascii")

    def _seal(self, plaintext: bytes, certificate: bytes, *, armor: bool) -> bytes:
        try:
            reader = pysequoia.Cert.from_bytes(certificate)
            return bytes(pysequoia.encrypt(plaintext, recipients=[reader], signer=self._signer, armor=armor))
        except RuntimeError as error:
            raise RefusedError("certificate_unusable", "nothing can be sealed to this certificate") from error

    def certificate(self) -> bytes:
        """Return the public half, binary."""
        return bytes(self._certificate)

    def armoured(self) -> str:
        """Return the transferable secret key as text that `gpg --import` takes."""
        return pysequoia.armor(self._secret.reveal(), pysequoia.ArmorKind.SecretKey)


def _hkdf(ikm: bytes, info: str) -> Secret[bytes]:
    return Secret(HKDF(SHA256(), 32, salt=None, info=info.encode()).derive(ikm))


def _aad(fingerprint: str) -> bytes:
    return f"sealpost/v1/private-key/{fingerprint}".encode()


def _unsafe_parameters() -> RefusedError:
    return RefusedError("kdf_parameters", "the server asks for an unsafe derivation of the password")
