"""Every knob of this service but the numbers that the policy sets (libs.policy)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, SettingsError, setting
from services.accounts.domain.addresses import Address, parse_address
from services.accounts.domain.domains import Domains
from services.accounts.domain.model import Profile

_GIB = 1024**3
_DAY = 86400


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """SEALPOST_* of the accounts service."""

    kek: Secret[str] = setting(
        help="key-encryption key: 64 hexadecimal digits, or lines of version:digits, the highest version wraps"
    )
    lookup_key: Secret[bytes] = setting(help="key of look-up hashes and verifiers, 32 bytes; cannot be changed later")

    member_domains: tuple[str, ...] = setting(("sealpost.test",), help="domains of members; the first is the main one")
    relay_domains: tuple[str, ...] = setting((), help="domains of accounts that send by program (profile relay)")
    public_domains: tuple[str, ...] = setting(("public.sealpost.test",), help="domains of public inboxes")
    sign_up_open: bool = setting(True, help="whether anybody may sign up at the member and relay domains")
    operator_mailbox: str = setting(
        "", help="member address that gets mail to postmaster, abuse and the like; empty: the first operator's"
    )

    member_quota_bytes: int = setting(
        _GIB, low=0, help="size of a member's or relay account's mailbox in bytes; 0: no limit"
    )
    member_quota_messages: int = setting(100_000, low=0, help="mails in such a mailbox; 0: no limit")
    public_quota_bytes: int = setting(
        0,
        low=0,
        help="size of a public inbox in bytes; 0: no limit but the policy's, and no counter to keep",
    )

    attempts_window: timedelta = setting(
        timedelta(minutes=15), low=1, high=_DAY, help="seconds over which wrong proofs are counted"
    )
    attempts_per_account: int = setting(20, low=1, help="wrong proofs of one kind per account and window")
    attempts_per_proof: int = setting(5, low=1, help="repetitions of one and the same wrong proof per window")
    taken_answers: int = setting(
        100, low=1, help="sign-ups per window told that the address is taken, before all sign-ups pause"
    )

    def __post_init__(self) -> None:
        """Check what spans fields. Raises: SettingsError."""
        try:
            domains = self.domains()
        except InvalidError as error:
            names = "SEALPOST_MEMBER_DOMAINS, SEALPOST_RELAY_DOMAINS, SEALPOST_PUBLIC_DOMAINS"
            raise SettingsError([f"{names}: {error.reason}"]) from error
        operator = self.operator_address()
        found = domains.find(operator.domain) if operator else None
        if operator and (found is None or found.profile is not Profile.SEALED):
            raise SettingsError(["SEALPOST_OPERATOR_MAILBOX: must be an address at a member domain"])

    def domains(self) -> Domains:
        """Return the domains served here. Raises: InvalidError, never once the settings are made."""
        return Domains(self.member_domains, self.public_domains, self.relay_domains, sign_up_open=self.sign_up_open)

    def operator_address(self) -> Address | None:
        """Return the canonical address of the operator's mailbox, None if the first operator's counts."""
        if not self.operator_mailbox:
            return None
        try:
            return parse_address(self.operator_mailbox)
        except InvalidError as error:
            raise SettingsError(["SEALPOST_OPERATOR_MAILBOX: must be an address"]) from error
