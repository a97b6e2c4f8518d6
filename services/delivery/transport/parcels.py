"""A mail as it goes over the wire, and which recipients cannot be asked for at all.

Addresses are read once more by the grammar of the wire, and content with bare CR or LF stays here: whatever is wrong
further up, this process does not smuggle commands into anybody's conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from libs.mail.addresses import PathError, read_path
from services.delivery.domain.model import Outcome, Outgoing
from services.delivery.transport.names import to_ascii
from services.delivery.transport.replies import permanent, temporary
from services.delivery.transport.session import Parcel
from services.delivery.transport.wire import stuff

_GIVEN_UP = temporary("4.4.7", "not finished in time")


class Progress:
    """What is known so far about the recipients of one mail."""

    def __init__(self, outgoing: Outgoing) -> None:
        """Begin; what can never be sent is settled at once."""
        self._outgoing = outgoing
        self._outcomes: list[Outcome | None] = [_refusal(address) for address in outgoing.recipients]
        content = outgoing.content
        line_ends = content.count(b"\r\n")
        if content.count(b"\r") != line_ends or content.count(b"\n") != line_ends:
            self.settle_rest(permanent("5.6.0", "message has line ends that mail must not have"))
        elif outgoing.return_path and _refusal(outgoing.return_path) is not None:
            self.settle_rest(permanent("5.1.7", "sender address is not one"))
        self._stuffed: bytes | None = None

    @property
    def is_done(self) -> bool:
        """Whether every recipient has an outcome."""
        return None not in self._outcomes

    def outcomes(self) -> Sequence[Outcome]:
        """Return the outcomes; who has none was not reached in time."""
        return [outcome or _GIVEN_UP for outcome in self._outcomes]

    def settle_rest(self, outcome: Outcome) -> None:
        """Give `outcome` to all that have none."""
        self._outcomes = [one or outcome for one in self._outcomes]

    def parcels(self, most: int) -> Iterator[tuple[Sequence[int], Parcel]]:
        """Yield transactions of at most `most` recipients that have no outcome yet, with their places."""
        open_places = [place for place, outcome in enumerate(self._outcomes) if outcome is None]
        if self._stuffed is None:
            self._stuffed = stuff(self._outgoing.content)
        for start in range(0, len(open_places), most):
            places = open_places[start : start + most]
            yield places, self._parcel([self._outgoing.recipients[place] for place in places])

    def settle(self, places: Sequence[int], outcomes: Sequence[Outcome], tls: str = "") -> None:
        """Note what came of a transaction, over a connection protected by `tls`."""
        for place, outcome in zip(places, outcomes, strict=True):
            self._outcomes[place] = replace(outcome, tls=tls)

    def _parcel(self, recipients: Sequence[str]) -> Parcel:
        content = self._outgoing.content
        eight_bit = not content.isascii()
        addresses = (self._outgoing.return_path, *recipients)
        plain = tuple(_with_ascii_domain(address) for address in addresses)
        wide = not all(address.isascii() for address in plain)
        if self._outgoing.smtputf8 and eight_bit and not wide:
            wide = not content.partition(b"\r\n\r\n")[0].isascii()
        sender, *others = addresses if wide else plain
        return Parcel(sender, tuple(others), self._stuffed or b"", len(content), eight_bit, wide)


def _refusal(address: str) -> Outcome | None:
    try:
        path = read_path(f"TO:<{address}>", "TO:")
    except PathError:
        path = None
    if path is None or path.address != address or not path.domain:
        return permanent("5.1.3", "address is not one")
    return None


def _with_ascii_domain(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{to_ascii(domain) or domain}" if at and not domain.isascii() else address
