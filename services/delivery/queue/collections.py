"""What the queue keeps.

    mail         key = mail id; one document is one mail with all its recipients, and changes as one
                 queued:  state, due, until, submitted, account, campaign, key_id, order, content | pieces, size, to,
                          wait, claims, holder, cancel, terms
                 settled: state, account, trail, expires
                 lost:    what was queued and cannot be opened any more
    content      key = <key id>/<number>; pieces of the content of a large mail, written before its mail
    idempotency  key = hash of account and the customer's key
    shred        keys of settled mails that are to be destroyed, many in one document
    erased       see services/delivery/erased.py

In clear stand ids, states, times, counts and keyed hashes. `due` is in the index only while the mail is queued, `wait`
(hash of the destination) only while it is put off because its destination is busy. All documents of an account are
found by its mark: mails have carried it from the first version on, keys of customers since erasures exist (one from
before lives for a day, less than any erasure waits).
"""

from __future__ import annotations

from libs.docstore.store import Collection, Index
from services.delivery.erased import ERASED

QUEUED, SETTLED, LOST = "queued", "settled", "lost"

MAILS = Collection(
    "mail",
    (
        Index("due", ("state", "due")),
        Index("waiting", ("wait", "due")),
        Index("campaign", ("campaign",)),
        Index("expires", ("expires",)),
        Index("account", ("account", "state")),
        Index("until", ("state", "until")),
    ),
    fields=(
        "state",
        "due",
        "until",
        "submitted",
        "account",
        "campaign",
        "key_id",
        "content",
        "size",
        "pieces",
        "holder",
        "claims",
        "wait",
        "to",
        "order",
        "cancel",
        "terms",
        "expires",
        "trail",
    ),
)
CONTENTS = Collection("content", (Index("check", ("check",)),), fields=("mail", "data", "check"))
IDEMPOTENCY = Collection(
    "idempotency",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("account", "mail", "digest", "expires"),
)
SHREDS = Collection("shred", (Index("due", ("due",)),), fields=("due", "keys"))

COLLECTIONS = (MAILS, CONTENTS, IDEMPOTENCY, SHREDS, ERASED)
