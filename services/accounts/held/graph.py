"""The data classes of this service, put together, in the order in which an erasure goes through them."""

from __future__ import annotations

from libs.docstore.store import Store
from libs.owner.owner import Owner
from libs.runtime.clock import Clock
from services.accounts.graph import Graph
from services.accounts.held.account import AccountClass, AddressClaimClass, ShownAccounts
from services.accounts.held.belongings import CredentialClass, ForwardClass, RoleClass, session_class
from services.accounts.owned_rights import RightsParts, rights_classes


def make_owner(graph: Graph, store: Store, clock: Clock) -> Owner:
    """Return the owner of everything that this service keeps."""
    kept, vault = graph.kept, graph.vault
    disclosure = graph.policy.disclosure
    shown = ShownAccounts(vault, disclosure.facts["account"] if disclosure else ())
    rights = graph.rights
    parts = RightsParts(kept.accounts, rights.kept, rights.owners, rights.concerns)
    classes = (
        session_class(store),
        CredentialClass(store, kept, vault),
        RoleClass(store, kept, graph.staff),
        ForwardClass(store, kept, vault),
        *rights_classes(store, parts),
        # What tells what else is to go goes last.
        AddressClaimClass(store, graph.erasures),
        AccountClass(store, graph.registration, graph.erasures, shown, kept.accounts),
    )
    return Owner(classes, store, clock)
