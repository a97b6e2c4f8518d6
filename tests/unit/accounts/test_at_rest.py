"""What the files of the store say about people: nothing (E5, S3 of the policy), deleted or not, compacted or not."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from pathlib import Path

from services.accounts.domain.access import NewPassword
from services.accounts.domain.model import CredentialKind, Role
from tests.unit.accounts.support import KDF, Platform, make_recovery, make_wish, wrapped_key

NAME = "grace.hopper-canary"
ADDRESS = f"{NAME}@sealpost.test"
LABEL = "canary label Büro"
TAG = "canary-tag"


def encodings(canary: bytes) -> set[bytes]:
    """Return the canary as it stands, as hexadecimal digits, and in base64 at each of the three alignments."""
    found = {canary, canary.hex().encode(), canary.hex().upper().encode()}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # The first and last characters mix with neighbours: what is left identifies the canary all the same.
            found.add(encode(b"\0" * shift + canary)[4 if shift else 0 : -4])
    return found


def text_encodings(canary: str) -> set[bytes]:
    """Return `encodings` of a text in the encodings of text, in both cases."""
    found: set[bytes] = set()
    for text in {canary, canary.lower(), canary.upper()}:
        for name in ("utf-8", "utf-16-le", "utf-16-be"):
            found |= encodings(text.encode(name))
    return found


def files(directory: Path) -> bytes:
    """Return everything that the directory holds, names of files included."""
    return b"\n".join(path.name.encode() + b"\n" + path.read_bytes() for path in sorted(directory.rglob("*")))


async def test_the_files_name_nobody_and_hold_no_proof(platform: Platform) -> None:
    wish = make_wish(ADDRESS, recovery=make_recovery())
    graph = platform.graph
    ada = await platform.sign_up(wish)
    assert wish.recovery is not None
    canaries = [wish.authentication_key, wish.recovery.authentication_key, bytes.fromhex(wish.fingerprint)]
    canaries += [platform.settings.lookup_key.reveal(), bytes.fromhex(platform.settings.kek.reveal())]
    texts = [ADDRESS, NAME, LABEL, TAG, wish.fingerprint]

    token, _ = await graph.signed_in.start(ada)
    other, _ = await graph.signed_in.start(ada)
    await graph.signed_in.authenticate(token)
    texts += [token, other]
    for kind, scope in ((CredentialKind.API_KEY, "mail:read"), (CredentialKind.APP_PASSWORD, "smtp:send")):
        made = await graph.programs.create(ada.account_id, kind, LABEL, [scope])
        # The prefix is kept, to be shown; what follows it is the secret.
        rest = made.secret.removeprefix(made.credential.prefix)[1:]
        texts += [rest, rest.replace("-", "")]
    await graph.staff.grant(ADDRESS, Role.OPERATOR)
    await graph.directory.resolve([f"{NAME}+{TAG}@sealpost.test", f"{NAME}@public.sealpost.test", "postmaster"])
    new = NewPassword(replace(KDF, salt=secrets.token_bytes(16)), secrets.token_bytes(32), wrapped_key())
    await graph.signed_in.end_others(
        await graph.access.change_password(ada.account_id, wish.authentication_key, new), token
    )
    canaries.append(new.authentication_key)

    def search(content: bytes) -> list[int]:
        """Return which canaries stand in the content, by number: a failure must not print them."""
        wanted = [encodings(canary) for canary in canaries] + [text_encodings(text) for text in texts]
        return [number for number, forms in enumerate(wanted) if any(form in content for form in forms)]

    content = files(platform.path.parent)
    assert search(content) == []
    # The search itself finds what is there: the key that its owner wrapped, and a planted address.
    assert content.find(new.wrapped_private_key) >= 0
    for plant in (ADDRESS.encode(), base64.b64encode(b"xy" + ADDRESS.encode()), LABEL.encode("utf-16-le")):
        assert search(content + plant)

    await platform.store.compact()
    content = files(platform.path.parent)
    assert search(content) == []
    assert content.find(wish.wrapped_private_key) < 0

    await graph.staff.close_account(ADDRESS)
    await platform.erase(ada)
    content = files(platform.path.parent)
    assert search(content) == []
    erased = (new.wrapped_private_key, ada.data_key, ada.identity, ada.account_id.encode(), ada.mailbox_id.encode())
    assert [number for number, piece in enumerate(erased) if piece in content] == []
