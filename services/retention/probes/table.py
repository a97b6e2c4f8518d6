"""Which probe looks after which clause, by the name that the policy gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from services.retention.probes import of_accounts, of_billing, of_mail, of_pages, of_records
from services.retention.probes.world import World

Probe: TypeAlias = Callable[[World], Awaitable[None]]

_ALL: tuple[Probe, ...] = (
    of_pages.no_third_party,
    of_mail.logs_without_people,
    of_accounts.statistics_few,
    of_pages.one_cookie,
    of_mail.sealed_at_rest,
    of_accounts.rights_answered,
    of_accounts.preferences_forgotten,
    of_accounts.mail_needs_consent,
    of_records.notice_has_run,
    of_accounts.purposes_hold,
    of_records.disclosure_guarded,
    of_pages.roles_refused,
    of_pages.abuse_is_limited,
    of_records.nothing_overdue,
    of_mail.sealed_from_staff,
    of_accounts.keys_are_found,
    of_accounts.password_unknown,
    of_accounts.open_is_told,
    of_accounts.contact_for_purpose,
    of_accounts.mass_mail_refused,
    of_pages.public_is_told,
    of_pages.public_without_account,
    of_mail.public_mail_goes,
    of_pages.mail_runs_nothing,
    of_pages.stands_alone,
    of_mail.data_kept_apart,
    of_mail.opens_are_sums,
    of_accounts.lists_stay_theirs,
    of_records.owners_are_told,
    of_billing.no_card_data,
)
PROBES: Mapping[str, Probe] = MappingProxyType({probe.__name__: probe for probe in _ALL})
