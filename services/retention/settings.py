"""What can be set of retention. The numbers of the policy are not here: they are its rules (libs.policy)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, setting


@dataclass(frozen=True)
class Settings(CommonSettings):
    """Settings of retention."""

    kek: Secret[str] = setting(
        help="key-encryption key of disclosure cases: 64 hexadecimal digits, or version:digits lines"
    )
    evidence_key: Secret[str] = setting(
        help="Ed25519 seeds that sign the ends of days of the ledger: 64 hexadecimal digits, or version:digits lines, "
        "of which the highest version signs"
    )
    register_dir: Path = setting(
        help="directory of the register of erasures; it is no part of what is backed up and restored"
    )
    lease: timedelta = setting(timedelta(seconds=15), help="how long a replica leads without renewing")
    tick: timedelta = setting(timedelta(seconds=1), help="how often the leader looks at what is due")
    batch: int = setting(2000, low=1, high=10_000, help="items that an owner is asked to delete in one call")
    http_url: str = setting("", help="web address of the platform, the door of probes and canaries; empty: none")
    public_url: str = setting("", help="what browsers see in its place, and probes say where they come from; empty: it")
    smtp_address: str = setting("", help="host:port of the MX, the door of probes and canaries; empty: none")
    submission_address: str = setting("", help="host:port of submission, the door of probes and canaries; empty: none")
