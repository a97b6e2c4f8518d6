"""From the services' messages to the JSON of the API."""

from __future__ import annotations

from datetime import UTC, datetime

from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from protos.storage.v1 import storage_pb2
from services.gateway.http import models
from services.gateway.readers import Readers

PROFILES = {
    common_pb2.PROFILE_GUEST: "guest",
    common_pb2.PROFILE_SEALED: "sealed",
    common_pb2.PROFILE_PUBLIC: "public",
    common_pb2.PROFILE_MAILING: "mailing",
    common_pb2.PROFILE_RELAY: "relay",
}
_DAY = 86400


def at(seconds: int) -> datetime:
    """Return the moment `seconds` after the epoch, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def at_or_never(seconds: int) -> datetime | None:
    """Return the moment, or None where 0 says never."""
    return at(seconds) if seconds else None


def kdf(found: accounts_pb2.Kdf) -> models.Kdf:
    """Translate derivation parameters."""
    return models.Kdf(
        salt=found.salt, memory_kib=found.memory_kib, iterations=found.iterations, parallelism=found.parallelism
    )


def account(found: accounts_pb2.Account) -> models.AccountOut:
    """Translate an account, as its owner sees it."""
    return models.AccountOut(
        account=models.Account(
            id=found.account_id,
            address=found.address,
            profile=PROFILES.get(found.profile, ""),
            fingerprint=found.fingerprint,
            wrapped_private_key=found.wrapped_private_key,
            kdf=kdf(found.kdf),
            has_recovery=found.has_recovery,
            roles=list(found.roles),
            quota_bytes=found.quota_bytes,
            quota_messages=found.quota_messages,
            erase_due=at_or_never(found.erase_due),
            notice=found.notice or None,
        )
    )


def session(found: accounts_pb2.Session, current: str) -> models.Session:
    """Translate a session; `current` is the id of the one that asks."""
    return models.Session(
        id=found.session_id,
        created=at(found.created_hour),
        last_used=at(found.last_used_hour),
        current=found.session_id == current,
    )


def credential(found: accounts_pb2.Credential) -> models.Credential:
    """Translate an API key or app password, without its secret."""
    api_key = found.kind == accounts_pb2.CREDENTIAL_KIND_API_KEY
    return models.Credential(
        id=found.credential_id,
        kind="api_key" if api_key else "app_password",
        label=found.label,
        scopes=list(found.scopes),
        prefix=found.prefix,
        created=at(found.created_day * _DAY),
    )


def folder(found: storage_pb2.Folder) -> models.Folder:
    """Translate a folder; its name stays sealed."""
    return models.Folder(
        id=found.folder_id, sealed_name=found.sealed_name, messages=found.messages, unseen=found.unseen
    )


def message(found: storage_pb2.Message) -> models.Message:
    """Translate a message; its envelope stays sealed."""
    return models.Message(
        id=found.message_id,
        received=at(found.received_minute * 60),
        size=found.size,
        body_size=found.body_size,
        folder=found.folder,
        flags=list(found.flags),
        expires=at_or_never(found.expires_at),
        scheme=found.scheme,
        key_id=found.key_id,
        envelope=found.envelope,
    )


def public_message(found: storage_pb2.Message, envelope: dict[str, object]) -> models.PublicMessage:
    """Translate a message of a public inbox, its envelope opened."""
    return models.PublicMessage(
        id=found.message_id,
        received=at(found.received_minute * 60),
        size=found.size,
        body_size=found.body_size,
        folder=found.folder,
        flags=list(found.flags),
        expires=at_or_never(found.expires_at),
        scheme=found.scheme,
        envelope=envelope,
    )


def readers(found: Readers) -> models.ReadersOut:
    """Translate the answer to "who can read this"."""
    return models.ReadersOut.model_validate(
        {
            "stored": [vars(entry) for entry in found.stored],
            "key_holders": [vars(entry) for entry in found.key_holders],
            "services": [vars(entry) for entry in found.services],
            "expires": at_or_never(found.expires),
            "deletion": found.deletion,
        }
    )
