"""The way for letters of the platform, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.policy import Policy
from services.delivery.customers.marks import Marks
from services.delivery.domain.dsn import site_of
from services.delivery.domain.ports import Notices
from services.delivery.graph import Base
from services.delivery.platform.consent import ConsentLinks
from services.delivery.platform.peers import RightsClient
from services.delivery.platform.sending import PlatformMail, PlatformParts

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub


def make_letters(base: Base, policy: Policy, accounts: AccountsAsyncStub, mailboxes: Notices) -> PlatformMail:
    """Compose it on a store that was opened with PLATFORM, among others; its `queue` is still to be set."""
    rights, settings, secrets = RightsClient(accounts), base.settings, base.secrets
    parts = PlatformParts(
        store=base.store,
        marks=Marks(secrets.hashes),
        policy=policy,
        terms=base.terms,
        accounts=rights,
        mailboxes=mailboxes,
        consents=ConsentLinks(secrets.vault, settings.public_url, rights),
        site=site_of(settings.hostname),
        public_url=settings.public_url,
        clock=base.clock,
    )
    return PlatformMail(parts)
