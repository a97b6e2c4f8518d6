"""The object graph, top to bottom; the service and the command line share it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from libs.docstore.store import Store
from libs.envelope import KeyedHash, open_keks
from libs.policy import Policy, load_policy
from libs.policy.terms import Terms
from libs.runtime.clock import Clock
from libs.runtime.limits import KeyedLimiter
from libs.runtime.settings import SettingsError
from services.accounts.domain.access import Access, ProofAttempts
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.attempts import AttemptRules, Attempts
from services.accounts.domain.directory import Directory, RouteRules
from services.accounts.domain.domains import Domains
from services.accounts.domain.erasures import Erasures
from services.accounts.domain.forwards import ForwardRules, Forwards
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Limits
from services.accounts.domain.ports import AccountsPort, Kept
from services.accounts.domain.programs import ProgramRules, Programs
from services.accounts.domain.registration import Registration, SignUpLimits
from services.accounts.domain.signed_in import SignedIn
from services.accounts.domain.staff import Staff, StaffTools
from services.accounts.domain.vault import Vault
from services.accounts.domain.verifiers import Verifiers
from services.accounts.repository import keep_in, keep_rights_in
from services.accounts.rights_graph import Numbers, RightsGraph, make_rights
from services.accounts.settings import Settings


@dataclass(frozen=True)
class Graph:
    """What this service can do."""

    domains: Domains
    member_limits: Limits
    directory: Directory
    registration: Registration
    access: Access
    signed_in: SignedIn
    programs: Programs
    staff: Staff
    forwards: Forwards
    erasures: Erasures
    vault: Vault
    kept: Kept
    rights: RightsGraph
    policy: Policy

    @property
    def accounts(self) -> AccountsPort:
        """Accounts by id."""
        return self.kept.accounts


def make_graph(settings: Settings, store: Store, clock: Clock, terms: Terms | None = None) -> Graph:
    """Compose the service on a store that was opened with repository.COLLECTIONS; without `terms`: the policy's own.

    Raises: SettingsError if a key file does not hold a key, PolicyError if the overrides of the policy are wrong.
    """
    policy = load_policy(settings.policy_overrides)
    numbers = Numbers(policy, terms or Terms(policy))
    keys = _keys(settings)
    kept = keep_in(store)
    domains = settings.domains()
    held = AccountTerms(numbers.terms, clock)
    rights = make_rights(numbers, keys, (kept, keep_rights_in(store)), domains, clock)
    rules = AttemptRules(settings.attempts_per_account, settings.attempts_per_proof, _seconds(settings.attempts_window))
    # One counter for each kind of proof: guesses over SMTP do not lock the browser out.
    proofs = ProofAttempts(password=Attempts(rules, clock), recovery=Attempts(rules, clock))
    taken = KeyedLimiter(settings.taken_answers, rules.window, 1, clock)
    erasures = Erasures(kept, held, clock)
    routes = _routes(settings, held)
    return Graph(
        domains=domains,
        member_limits=routes.member,
        directory=Directory(domains, keys.hashes, routes, kept),
        registration=Registration(domains, keys, kept, SignUpLimits(proofs.password, taken, held), rights.notices),
        access=Access(keys, kept, proofs),
        signed_in=SignedIn(held, kept, clock),
        programs=Programs(keys, kept, ProgramRules(Attempts(rules, clock), held), clock),
        staff=Staff(StaffTools(held, erasures), keys, kept, clock),
        forwards=Forwards(keys, kept, ForwardRules(domains, held), clock),
        erasures=erasures,
        vault=keys.vault,
        kept=kept,
        policy=policy,
        rights=rights,
    )


def _keys(settings: Settings) -> Keys:
    keks = open_keks(settings.kek)
    try:
        return Keys(KeyedHash(settings.lookup_key), Verifiers(settings.lookup_key), Vault(keks))
    except ValueError as error:
        raise SettingsError([f"SEALPOST_LOOKUP_KEY_FILE: {error}"]) from error


def _routes(settings: Settings, terms: AccountTerms) -> RouteRules:
    member = Limits(quota_bytes=settings.member_quota_bytes, quota_messages=settings.member_quota_messages)
    return RouteRules(member, settings.public_quota_bytes, terms, settings.operator_address())


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
