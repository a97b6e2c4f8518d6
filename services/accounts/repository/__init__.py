"""What this service keeps, on libs.docstore: one repository per aggregate, all of them Protocols of domain.ports.

No key, no index and no plain field names a person: addresses are keyed hashes, what is shown is sealed.
"""

from __future__ import annotations

from libs.docstore.store import Store
from libs.owner.terms import TERMS
from services.accounts.domain.ports import Kept
from services.accounts.domain.rights_ports import KeptRights
from services.accounts.repository.accounts import ACCOUNTS, AccountRepository
from services.accounts.repository.claims import ADDRESSES, ClaimRepository
from services.accounts.repository.concerns import CONCERNS, ConcernRepository
from services.accounts.repository.credentials import CREDENTIALS, CredentialRepository
from services.accounts.repository.erasures import ErasureRepository
from services.accounts.repository.forwards import FORWARDS, ForwardRepository
from services.accounts.repository.grants import GRANTS, GrantRepository
from services.accounts.repository.notices import ANNOUNCEMENTS, NOTICE_COUNTS, NoticeRepository
from services.accounts.repository.rights import CONSENTS, CONTACTS, ConsentRepository, ContactRepository
from services.accounts.repository.sessions import SESSIONS, SessionRepository

RIGHTS = (CONSENTS, CONTACTS, ANNOUNCEMENTS, NOTICE_COUNTS, CONCERNS)
COLLECTIONS = (ACCOUNTS, ADDRESSES, SESSIONS, CREDENTIALS, GRANTS, FORWARDS, TERMS, *RIGHTS)


def keep_in(store: Store) -> Kept:
    """Return everything kept in `store`, which was opened with COLLECTIONS."""
    return Kept(
        accounts=AccountRepository(store),
        erasures=ErasureRepository(store),
        claims=ClaimRepository(store),
        sessions=SessionRepository(store),
        credentials=CredentialRepository(store),
        grants=GrantRepository(store),
        forwards=ForwardRepository(store),
    )


def keep_rights_in(store: Store) -> KeptRights:
    """Return everything kept for the rights of owners in `store`, which was opened with COLLECTIONS."""
    return KeptRights(
        consents=ConsentRepository(store),
        contacts=ContactRepository(store),
        notices=NoticeRepository(store),
        concerns=ConcernRepository(store),
    )
