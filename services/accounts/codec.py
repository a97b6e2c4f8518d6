"""Between messages and the domain: decoding checks what the wire leaves open, encoding says no more than it must."""

from __future__ import annotations

from collections.abc import Sequence

from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id
from protos.accounts.v1 import accounts_pb2 as pb
from protos.common.v1 import common_pb2
from services.accounts.domain.access import NewPassword
from services.accounts.domain.directory import Route, Status
from services.accounts.domain.domains import ServedDomain
from services.accounts.domain.model import (
    Account,
    Credential,
    CredentialKind,
    Erasure,
    Forward,
    Grant,
    Identity,
    Kdf,
    Leaving,
    Limits,
    Principal,
    Profile,
    Role,
    Session,
)
from services.accounts.domain.registration import NewRecovery, SignUp

PROFILES = {
    Profile.GUEST: common_pb2.PROFILE_GUEST,
    Profile.SEALED: common_pb2.PROFILE_SEALED,
    Profile.PUBLIC: common_pb2.PROFILE_PUBLIC,
    Profile.MAILING: common_pb2.PROFILE_MAILING,
    Profile.RELAY: common_pb2.PROFILE_RELAY,
}
_STATUSES = {
    Status.OK: pb.Route.STATUS_OK,
    Status.NOT_OURS: pb.Route.STATUS_NOT_OURS,
    Status.UNKNOWN: pb.Route.STATUS_UNKNOWN,
    Status.SUSPENDED: pb.Route.STATUS_SUSPENDED,
    Status.INVALID: pb.Route.STATUS_INVALID,
}
_KINDS = {
    CredentialKind.API_KEY: pb.CREDENTIAL_KIND_API_KEY,
    CredentialKind.APP_PASSWORD: pb.CREDENTIAL_KIND_APP_PASSWORD,
}
_KINDS_BACK = {number: kind for kind, number in _KINDS.items()}


def account_id(text: str) -> str:
    """Return an account id; InvalidError("account_id") if it is none."""
    if not is_id(text):
        raise InvalidError("account_id")
    return text


def kind(number: pb.CredentialKind.ValueType) -> CredentialKind:
    """Return a kind of credential; InvalidError("kind") if it is none."""
    if number not in _KINDS_BACK:
        raise InvalidError("kind")
    return _KINDS_BACK[number]


def role(text: str) -> Role:
    """Return a role; InvalidError("role") if it is none."""
    try:
        return Role(text)
    except ValueError as error:
        raise InvalidError("role") from error


def granted_role(text: str) -> Role:
    """Return a role that is given over RPC; InvalidError("role") for any other."""
    if text != Role.STATISTICS:
        raise InvalidError("role")
    return Role.STATISTICS


def holder_message(grant: Grant, address: str) -> pb.Holder:
    """Return the message for a holder of a role."""
    return pb.Holder(account_id=grant.account_id, address=address, since_day=grant.granted_day)


def kdf(message: pb.Kdf) -> Kdf:
    """Return derivation parameters as asked for, unchecked."""
    return Kdf(message.salt, message.memory_kib, message.iterations, message.parallelism)


def recovery(message: pb.Recovery) -> NewRecovery:
    """Return a new recovery code, unchecked."""
    return NewRecovery(message.authentication_key, message.wrapped_private_key)


def sign_up(request: pb.SignUpRequest) -> SignUp:
    """Return a sign-up, unchecked."""
    return SignUp(
        account_id=request.account_id,
        address=request.address,
        kdf=kdf(request.kdf),
        authentication_key=request.authentication_key,
        wrapped_private_key=request.wrapped_private_key,
        fingerprint=request.fingerprint,
        recovery=recovery(request.recovery) if request.HasField("recovery") else None,
    )


def new_password(request: pb.ChangePasswordRequest | pb.CompleteRecoveryRequest) -> NewPassword:
    """Return a new password, unchecked."""
    return NewPassword(kdf(request.kdf), request.authentication_key, request.wrapped_private_key)


def route_message(route: Route, forward_to: Sequence[str] = ()) -> pb.Route:
    """Encode a route, with the addresses that get copies if the caller may know them."""
    return pb.Route(
        status=_STATUSES[route.status],
        profile=PROFILES[route.profile] if route.profile else common_pb2.PROFILE_UNSPECIFIED,
        mailbox_id=route.mailbox_id,
        account_id=route.account_id,
        domain=route.domain,
        quota_bytes=route.limits.quota_bytes,
        quota_messages=route.limits.quota_messages,
        keep_newest=route.limits.keep_newest,
        retention_seconds=route.limits.retention_seconds,
        address=route.address,
        forward_to=forward_to,
        terms=route.terms,
    )


def domain_message(domain: ServedDomain) -> pb.Domain:
    """Encode a domain."""
    return pb.Domain(name=domain.name, profile=PROFILES[domain.profile], open_for_sign_up=domain.open_for_sign_up)


def kdf_message(parameters: Kdf) -> pb.Kdf:
    """Encode derivation parameters."""
    return pb.Kdf(
        salt=parameters.salt,
        memory_kib=parameters.memory_kib,
        iterations=parameters.iterations,
        parallelism=parameters.parallelism,
    )


def account_message(account: Account, identity: Identity, limits: Limits) -> pb.Account:
    """Encode an account for its owner."""
    return pb.Account(
        account_id=account.account_id,
        mailbox_id=account.mailbox_id,
        profile=PROFILES[account.profile],
        address=identity.address,
        fingerprint=identity.fingerprint,
        wrapped_private_key=account.wrapped_private_key,
        has_recovery=account.recovery is not None,
        roles=[role.value for role in account.roles],
        created_day=account.created_day,
        quota_bytes=limits.quota_bytes,
        quota_messages=limits.quota_messages,
        kdf=kdf_message(account.kdf),
        erase_due=account.erasure.due if account.erasure else 0,
    )


def take_keys_out(message: pb.Account) -> None:
    """Leave what a service may know that has nothing to do with the owner's signing in."""
    for name in ("wrapped_private_key", "kdf", "has_recovery"):
        message.ClearField(name)


def principal_message(principal: Principal) -> pb.Principal:
    """Encode who is behind a proof."""
    return pb.Principal(
        account_id=principal.account_id,
        mailbox_id=principal.mailbox_id,
        profile=PROFILES[principal.profile],
        roles=[role.value for role in principal.roles],
        scopes=principal.scopes,
        proof_id=principal.proof_id,
        terms=principal.terms,
    )


def erasure_message(erasure: Erasure, token: str = "") -> pb.Erasure:
    """Encode an erasure that is asked for, with the token of its receipt for whoever has just asked."""
    return pb.Erasure(asked_at=erasure.asked_at, due=erasure.due, receipt_token=token)


def due_message(leaving: Leaving) -> pb.DueErasure:
    """Encode an erasure that is due."""
    erasure = leaving.erasure or Erasure(0, 0, b"")
    return pb.DueErasure(
        account_id=leaving.account_id,
        mailbox_id=leaving.mailbox_id,
        receipt=erasure.receipt,
        asked_at=erasure.asked_at,
        due=erasure.due,
    )


def session_message(session: Session) -> pb.Session:
    """Encode a session for its owner's list."""
    return pb.Session(
        session_id=session.session_id, created_hour=session.created_hour, last_used_hour=session.last_used_hour
    )


def credential_message(credential: Credential, label: str) -> pb.Credential:
    """Encode a credential for its owner's list."""
    return pb.Credential(
        credential_id=credential.credential_id,
        kind=_KINDS[credential.kind],
        label=label,
        scopes=credential.scopes,
        prefix=credential.prefix,
        created_day=credential.created_day,
    )


def forward_message(forward: Forward, address: str) -> pb.Forward:
    """Encode an address that gets copies, for its owner's list."""
    return pb.Forward(
        forward_id=forward.forward_id,
        address=address,
        state=forward.state.value,
        confirm_until=forward.confirm_until,
        created_day=forward.created_day,
    )
