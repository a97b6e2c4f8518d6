"""What the platform would do without the mechanisms of the clauses for members with sealed mailboxes."""

from __future__ import annotations

from typing import Any

from tests.support.clauses import Anything, Saboteur, awaited, reached_without, switch, write_down


def _second_key(service: str) -> None:
    """S1: whatever is sealed to a member is sealed to a key of the staff too."""
    import pysequoia

    from services.crypto.domain import certificates

    staff = pysequoia.Tsk.generate("staff").extract_certificate()

    def without(kept: Anything) -> Anything:
        def to_both(certificate: Any, plaintext: bytes) -> bytes:
            return pysequoia.encrypt(plaintext, recipients=[certificate, staff], armor=False)

        return to_both

    switch("S1", certificates, "seal_to", without)


def _not_sealed(service: str) -> None:
    """S1: mail is kept as it came."""
    from services.crypto.domain import certificates

    switch("S1/clear", certificates, "seal_to", lambda kept: lambda certificate, plaintext: plaintext)


def _no_directory(service: str) -> None:
    """S2: nobody finds the keys of members."""
    from libs.runtime.errors import NotFoundError
    from services.gateway.http import directory

    def without(kept: Anything) -> Anything:
        async def unknown(*args: Any) -> Any:
            raise NotFoundError("certificate_unknown")

        return unknown

    switch("S2", directory, "_find", without)


def _proofs_kept(service: str) -> None:
    """S3: what a member signs in with is kept as it is."""
    from services.accounts.domain.verifiers import Verifiers

    def without(kept: Anything) -> Anything:
        def noted(self: Any, account_id: str, purpose: Any, verifier: Any, authentication_key: bytes) -> Any:
            write_down(authentication_key)
            return kept(self, account_id, purpose, verifier, authentication_key)

        return noted

    switch("S3", Verifiers, "matches", without)


def _open_not_told(service: str) -> None:
    """S4: whoever is written to is said to have a key."""
    from services.gateway.http import recipients

    def without(kept: Anything) -> Anything:
        async def all_sealed(peers: Any, lookup: Any, address: str, route: Any) -> Any:
            found = await kept(peers, lookup, address, route)
            if found.kind != "open":
                return found
            return recipients.Recipient(address=address, kind="wkd", certificate=b"\x99", fingerprint="0" * 40)

        return all_sealed

    switch("S4", recipients, "_find", without)


def _contact_for_all(service: str) -> None:
    """S5: the contact address is used without consent."""
    reached_without("S5", "contact")


def _contact_in_clear(service: str) -> None:
    """S5: the contact address is kept as it is."""
    from services.accounts.domain.rights import OwnersRights

    def without(kept: Anything) -> Anything:
        async def noted(self: Any, account_id: str, text: str) -> None:
            write_down(text.encode())
            await kept(self, account_id, text)

        return noted

    switch("S5/clear", OwnersRights, "put_contact", without)


def _no_limits(service: str) -> None:
    """S6: a member may write to as many as he likes."""
    from services.delivery.customers.limits import SendingLimits

    switch("S6", SendingLimits, "reserve", awaited(None))


SABOTEURS = (
    Saboteur("S1", ("crypto",), _second_key),
    Saboteur("S1/clear", ("crypto",), _not_sealed),
    Saboteur("S2", ("gateway",), _no_directory),
    Saboteur("S3", ("accounts",), _proofs_kept),
    Saboteur("S4", ("gateway",), _open_not_told),
    Saboteur("S5", ("accounts",), _contact_for_all),
    Saboteur("S5/clear", ("accounts",), _contact_in_clear),
    Saboteur("S6", ("delivery",), _no_limits),
)
