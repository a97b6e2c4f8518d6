"""The JSON of the API; docs/architecture.md, "HTTP API", in types."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from protos.accounts.v1 import accounts_pb2


def _decode(text: object) -> bytes:
    if isinstance(text, bytes):  # an answer of ours; JSON has no bytes
        return text
    if not isinstance(text, str):
        raise PydanticCustomError("base64", "base64 expected")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PydanticCustomError("base64", "base64 expected") from error


def sized(least: int, most: int) -> Any:
    """Return the bounds of a field in bytes; its schema counts the characters of base64."""
    characters: dict[str, Any] = {"minLength": -(-least // 3) * 4, "maxLength": -(-most // 3) * 4}
    return Field(min_length=least, max_length=most, json_schema_extra=characters)


Bytes = Annotated[
    bytes,
    BeforeValidator(_decode),
    PlainSerializer(lambda data: base64.b64encode(data).decode("ascii"), return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
Key = Annotated[Bytes, sized(32, 32)]
# Where accounts and crypto draw the line themselves, the bounds here are wider: their reasons come with a sentence.
Salt = Annotated[Bytes, sized(1, 64)]
Wrapped = Annotated[Bytes, sized(1, 16384)]
Certificate = Annotated[Bytes, sized(1, 65536)]
SealedName = Annotated[Bytes, sized(1, 1024)]
Address = Annotated[str, Field(min_length=3, max_length=320)]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
FolderId = Annotated[str, Field(pattern=r"^(inbox|sent|drafts|archive|junk|trash|[0-9a-f]{32})$")]
Flag = Literal["seen", "flagged", "answered"]


class In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Kdf(In):
    algorithm: Literal["argon2id"] = "argon2id"
    salt: Salt
    memory_kib: Annotated[int, Field(ge=1, le=2**31 - 1, description="19,456 to 1,048,576")]
    iterations: Annotated[int, Field(ge=1, le=2**31 - 1, description="2 to 16")]
    parallelism: Annotated[int, Field(ge=1, le=2**31 - 1, description="1 to 4")]

    def to_proto(self) -> accounts_pb2.Kdf:
        return accounts_pb2.Kdf(
            salt=self.salt, memory_kib=self.memory_kib, iterations=self.iterations, parallelism=self.parallelism
        )


class Recovery(In):
    authentication_key: Key
    wrapped_private_key: Wrapped

    def to_proto(self) -> accounts_pb2.Recovery:
        return accounts_pb2.Recovery(
            authentication_key=self.authentication_key, wrapped_private_key=self.wrapped_private_key
        )


class AddressIn(In):
    address: Address


class SignUpIn(In):
    address: Address
    kdf: Kdf
    authentication_key: Key
    certificate: Certificate
    wrapped_private_key: Wrapped
    recovery: Recovery | None = None


class SignInIn(In):
    address: Address
    authentication_key: Key


class ChangePasswordIn(In):
    current_authentication_key: Key
    kdf: Kdf
    authentication_key: Key
    wrapped_private_key: Wrapped


class SetRecoveryIn(In):
    current_authentication_key: Key
    recovery: Recovery | None


class CompleteRecoveryIn(In):
    address: Address
    recovery_authentication_key: Key
    kdf: Kdf
    authentication_key: Key
    wrapped_private_key: Wrapped


class CredentialIn(In):
    kind: Literal["api_key", "app_password"]
    label: Annotated[str, Field(min_length=1, max_length=256)]
    scopes: Annotated[list[Annotated[str, Field(max_length=50)]], Field(max_length=20)] = []


class FolderIn(In):
    sealed_name: SealedName


class UpdateIn(In):
    ids: Annotated[list[Id], Field(min_length=1, max_length=200)]
    add_flags: Annotated[list[Flag], Field(max_length=3)] = []
    remove_flags: Annotated[list[Flag], Field(max_length=3)] = []
    move_to: FolderId | None = None


class DeleteIn(In):
    ids: Annotated[list[Id], Field(min_length=1, max_length=200)]


class PublicPolicy(BaseModel):
    keep_newest: int
    retention_seconds: int


class SubmissionServer(BaseModel):
    """Where mail programs hand in mail: with STARTTLS (RFC 6409) or over TLS (RFC 8314)."""

    host: str
    starttls_port: int
    tls_port: int


class Info(BaseModel):
    name: str
    version: str
    public_domains: list[str]
    member_domains: list[str]
    relay_domains: list[str]
    sign_up_open: bool
    submission: SubmissionServer | None
    max_message_bytes: int
    public: PublicPolicy
    billing: bool


class KdfOut(BaseModel):
    kdf: Kdf


class Owing(BaseModel):
    """A bill is late: sending works `until` a moment, or is paused until it is paid."""

    read_only: bool
    until: datetime | None


class Account(BaseModel):
    id: str
    address: str
    profile: str
    fingerprint: str
    wrapped_private_key: Bytes
    kdf: Kdf
    has_recovery: bool
    roles: list[str]
    quota_bytes: int
    quota_messages: int
    # From when on the account is erased, and the version of the policy that waits for an answer.
    erase_due: datetime | None = None
    notice: int | None = None
    owing: Owing | None = None


class AccountOut(BaseModel):
    account: Account


class Session(BaseModel):
    id: str
    created: datetime
    last_used: datetime
    current: bool


class SessionsOut(BaseModel):
    sessions: list[Session]


class RecoveryOut(BaseModel):
    wrapped_private_key: Bytes
    fingerprint: str


class Credential(BaseModel):
    id: str
    kind: Literal["api_key", "app_password"]
    label: str
    scopes: list[str]
    prefix: str
    created: datetime


class CredentialsOut(BaseModel):
    credentials: list[Credential]


class CredentialOut(BaseModel):
    credential: Credential
    secret: str


class Folder(BaseModel):
    id: str
    sealed_name: Bytes
    messages: int
    unseen: int


class Mailbox(BaseModel):
    used_bytes: int
    used_messages: int
    quota_bytes: int
    quota_messages: int
    folders: list[Folder]


class Message(BaseModel):
    id: str
    received: datetime
    size: int
    body_size: int
    folder: str
    flags: list[str]
    expires: datetime | None
    scheme: str
    key_id: str
    envelope: Bytes


class MessagesOut(BaseModel):
    messages: list[Message]
    next_cursor: str | None


class NotFoundOut(BaseModel):
    not_found: list[str]


class PublicMessage(BaseModel):
    id: str
    received: datetime
    size: int
    body_size: int
    folder: str
    flags: list[str]
    expires: datetime | None
    scheme: str
    envelope: dict[str, object]


class PublicMessagesOut(BaseModel):
    notice: str
    address: str
    messages: list[PublicMessage]
    next_cursor: str | None


class StoredOut(BaseModel):
    field: str
    form: Literal["sealed", "plain"]
    why: str


class KeyHolderOut(BaseModel):
    who: str
    how: str


class ServiceOut(BaseModel):
    name: str
    saw: Literal["plaintext", "ciphertext", "routing"]
    when: str


class ReadersOut(BaseModel):
    stored: list[StoredOut]
    key_holders: list[KeyHolderOut]
    services: list[ServiceOut]
    expires: datetime | None
    deletion: str
