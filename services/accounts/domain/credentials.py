"""API keys and app passwords: what programs show. They authenticate and decrypt nothing.

An API key is `sp_`, 8 characters to recognise it by, `_`, and 256 random bits. An app password is typed into mail
programs by hand: 24 characters in groups of four, 120 random bits, of which the first group is shown in lists. Both are
drawn by us and too long to be guessed, so the keyed hash of the secret can be the key of its document, and checking one
is a single look-up. Characters are Crockford's base 32: no capitals, nothing to take for something else.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence

from libs.envelope import KeyedHash
from libs.runtime.errors import InvalidError, UnauthenticatedError
from services.accounts.domain.model import CredentialKind

MAX_CREDENTIALS = 50
MAX_LABEL = 64

SCOPES: dict[CredentialKind, frozenset[str]] = {
    CredentialKind.API_KEY: frozenset(("mail:read", "mail:write", "mail:send")),
    CredentialKind.APP_PASSWORD: frozenset(("smtp:send",)),
}

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_API_KEY = re.compile(rf"sp_[{_ALPHABET}]{{8}}_[{_ALPHABET}]{{52}}\Z")
_APP_PASSWORD = re.compile(rf"[{_ALPHABET}]{{24}}\Z")
_MAX_TYPED = 64
# How Crockford reads what people type.
_TYPED = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


def new_secret(kind: CredentialKind) -> tuple[str, str]:
    """Return a new secret as it is shown once, and the prefix that is shown ever after."""
    if kind is CredentialKind.API_KEY:
        prefix = f"sp_{_random(8)}"
        return f"{prefix}_{_random(52)}", prefix
    groups = [_random(4) for _ in range(6)]
    return "-".join(groups), groups[0]


def api_key_digest(hashes: KeyedHash, secret: str) -> str:
    """Return the document key of an API key; UnauthenticatedError("credential_invalid") if it cannot be one."""
    if not _API_KEY.match(secret):
        raise UnauthenticatedError("credential_invalid")
    return hashes.digest("credential/api_key", secret.encode("ascii")).hex()


def app_password_digest(hashes: KeyedHash, secret: str) -> str:
    """Return the document key of an app password as typed: capitals, spaces and dashes do not matter.

    Raises: UnauthenticatedError("credential_invalid") if it cannot be one.
    """
    plain = secret[:_MAX_TYPED].lower().translate(_TYPED)
    if len(secret) > _MAX_TYPED or not _APP_PASSWORD.match(plain):
        raise UnauthenticatedError("credential_invalid")
    return hashes.digest("credential/app_password", plain.encode("ascii")).hex()


def check_scopes(kind: CredentialKind, scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the scopes in order; InvalidError("scopes") unless there is one at least and all fit the kind."""
    if not scopes or len(set(scopes)) != len(scopes) or not SCOPES[kind].issuperset(scopes):
        raise InvalidError("scopes")
    return tuple(sorted(scopes))


def check_label(label: str) -> str:
    """Return the label without white space around it.

    Raises: InvalidError("label") unless it has 1 to 64 characters, all of them printable.
    """
    plain = unicodedata.normalize("NFC", label[: 4 * MAX_LABEL]).strip()
    if not 1 <= len(plain) <= MAX_LABEL or len(label) > 4 * MAX_LABEL or not plain.isprintable():
        raise InvalidError("label")
    return plain


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
