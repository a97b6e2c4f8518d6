"""The things this service knows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """Decides the rules of a mailbox or an account."""

    GUEST = "guest"
    SEALED = "sealed"
    PUBLIC = "public"
    MAILING = "mailing"
    RELAY = "relay"


class State(StrEnum):
    """Of a claim on an address. A closed one keeps others from the address for a while."""

    ACTIVE = "active"
    CLOSED = "closed"


class Role(StrEnum):
    """What staff may do; none of them sees content (policy E12)."""

    OPERATOR = "operator"
    STATISTICS = "statistics"
    DISCLOSURE = "disclosure"
    PRODUCTION = "production"
    SUPPORT = "support"


class CredentialKind(StrEnum):
    """What a program shows instead of a password."""

    API_KEY = "api_key"
    APP_PASSWORD = "app_password"  # noqa: S105 - the name of a kind


@dataclass(frozen=True)
class Limits:
    """How much a mailbox holds and for how long; 0 = no limit, as in the Route message."""

    quota_bytes: int = 0
    quota_messages: int = 0
    keep_newest: int = 0
    retention_seconds: int = 0


@dataclass(frozen=True)
class Kdf:
    """How a client derives from a password: Argon2id (RFC 9106), version 0x13."""

    salt: bytes
    memory_kib: int
    iterations: int
    parallelism: int


@dataclass(frozen=True)
class Verifier:
    """What is kept of an authentication key."""

    salt: bytes
    digest: bytes


@dataclass(frozen=True)
class Recovery:
    """The second way to the private key; exists only if the owner made a recovery code."""

    verifier: Verifier
    wrapped_private_key: bytes


class Answer(StrEnum):
    """What the owner of an account said to a version of the policy that he was told of."""

    NONE = ""
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Standing:
    """How an account stands to the versions of the policy, see domain.notices. Times are Unix seconds, 0 = none.

    `noticed` is the latest version that the owner was told of, since `noticed_at`; `told_at` is the same time if he was
    told of it as a change, 0 if he signed up with it. `answer`, `effective`, `old_until` and `kept` (the version that
    a refusal keeps until `old_until`) are about that version; `held` and `held_until` are what a refusal of an earlier
    one keeps.
    """

    noticed: int = 0
    noticed_at: int = 0
    told_at: int = 0
    effective: int = 0
    old_until: int = 0
    answer: Answer = Answer.NONE
    kept: int = 0
    held: int = 0
    held_until: int = 0


@dataclass(frozen=True)
class Erasure:
    """An erasure that was asked for: Unix seconds, and the SHA-256 of the token that finds its receipt."""

    asked_at: int
    due: int
    receipt: bytes


@dataclass(frozen=True)
class Account:
    """An account as kept. `version` is that of its document; `epoch` grows whenever all its sessions end.

    What names the owner is sealed (`identity`, under the account's data key, here in its wrapped form) and opened by
    domain.vault only where somebody asks for it. `created_day` counts days since 1970-01-01, UTC.
    """

    account_id: str
    mailbox_id: str
    profile: Profile
    address_key: str
    data_key: bytes
    identity: bytes
    kdf: Kdf
    verifier: Verifier
    wrapped_private_key: bytes
    recovery: Recovery | None
    created_day: int
    roles: tuple[Role, ...] = ()
    epoch: int = 0
    version: int = 1
    standing: Standing = Standing()
    # Asked for, and not begun: domain.ports.AccountsPort knows no account whose erasure has begun.
    erasure: Erasure | None = None


@dataclass(frozen=True)
class Leaving:
    """An account as its erasure sees it, whatever is left of it. `begun`: no undo; `keyless`: nothing can be read."""

    account_id: str
    mailbox_id: str
    profile: Profile
    address_key: str
    roles: tuple[Role, ...]
    standing: Standing
    erasure: Erasure | None
    begun: bool
    keyless: bool
    version: int


@dataclass(frozen=True)
class Identity:
    """The sealed part of an account: what names its owner."""

    address: str
    fingerprint: str


@dataclass(frozen=True)
class Claim:
    """Who has an address. The address itself is not in it: the key is its keyed hash.

    A closed claim names its former owner until all of him is erased; then `account_id` and `mailbox_id` are empty.
    """

    address_key: str
    account_id: str
    mailbox_id: str
    profile: Profile
    state: State = State.ACTIVE
    # Whether some confirmed address gets copies of its mail (domain.forwards).
    forwards: bool = False
    # Whether another version of the policy than the one in force may hold for the account (domain.notices).
    keeps_terms: bool = False
    version: int = 1


@dataclass(frozen=True)
class Session:
    """A session as kept under the SHA-256 hash of its token. Times are Unix seconds, coarse (see `sessions`)."""

    key: str
    session_id: str
    account_id: str
    epoch: int
    created_hour: int
    last_used_hour: int
    idle_end: int
    expires_at: int


@dataclass(frozen=True)
class Credential:
    """An API key or app password as kept under the keyed hash of its secret; `label` is sealed.

    Slots number the credentials of an account, 0 to 49; the pair is unique, which makes the maximum exact.
    """

    key: str
    credential_id: str
    account_id: str
    kind: CredentialKind
    scopes: tuple[str, ...]
    prefix: str
    label: bytes
    created_day: int
    slot: int


class ForwardState(StrEnum):
    """Of an address that copies are to be forwarded to. Stopped is what its reader has stopped."""

    PENDING = "pending"
    ACTIVE = "active"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Forward:
    """An address that gets copies, as kept under the SHA-256 hash of its token; `address` is sealed.

    `confirm_until`: Unix seconds, 0 once somebody has answered. Slots as with credentials, 0 to 2.
    """

    key: str
    forward_id: str
    account_id: str
    slot: int
    state: ForwardState
    address: bytes
    created_day: int
    confirm_until: int
    version: int = 1


@dataclass(frozen=True)
class Grant:
    """One holder of a role; the slot number makes a maximum of holders exact. `granted_day`: 0 where not known."""

    role: Role
    slot: int
    account_id: str
    address_key: str
    granted_day: int = 0


@dataclass(frozen=True)
class Principal:
    """Who is behind a proof. `scopes` is empty for a session: everything the account may do."""

    account_id: str
    mailbox_id: str
    profile: Profile
    roles: tuple[Role, ...]
    scopes: tuple[str, ...]
    proof_id: str
    # The version of the policy whose terms hold for the account.
    terms: int = 0
