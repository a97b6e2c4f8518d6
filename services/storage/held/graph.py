"""The classes of storage, in the order in which they are exported and erased."""

from __future__ import annotations

from libs.docstore.store import Store
from libs.owner.model import HeldClass
from libs.policy import Terms
from libs.runtime.clock import Clock
from services.storage.expiry import Expiry
from services.storage.held.beside import Contacts, MailboxFacts, Preferences, Tombstones
from services.storage.held.common import Keeping
from services.storage.held.mail import MemberMail, PublicMail, StagedMail
from services.storage.rpc import Parts


def classes_of(store: Store, parts: Parts, expiry: Expiry, terms: Terms, clock: Clock) -> list[HeldClass]:
    """Return the classes. Mail comes after everything else, for an export ends with it; the tombstones close up."""
    keeping = Keeping(store, parts.erased)
    return [
        MailboxFacts(keeping, parts.mailboxes),
        Preferences(keeping, parts.objects, terms),
        Contacts(keeping, parts.objects),
        StagedMail(keeping, parts.bodies),
        MemberMail(keeping, parts.bodies, clock),
        PublicMail(keeping, expiry),
        Tombstones(keeping),
    ]
