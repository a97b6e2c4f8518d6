"""What all submissions of one process share: who may sign in, how often, and how much they may hand over.

accounts limits wrong passwords for each address; here they are limited for each client as well, under a key that lives
ten minutes (libs.runtime.limits). An attempt is counted before it is checked and given back if it was right, so that
guesses sent at the same moment count too. A refusal takes the same time whatever is wrong, so that it says nothing of
who exists. What an account may send in a day is for delivery to say; the counters here only keep one account from
filling this process.

Within a connection a proof is believed for a minute: an app password that is revoked, or an account that is closed,
sends no more on the connections that are open.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from libs.runtime.clock import Clock
from libs.runtime.errors import (
    ExhaustedError,
    InvalidError,
    SealpostError,
    UnauthenticatedError,
    UnavailableError,
)
from libs.runtime.limits import KeyedGauge, KeyedLimiter
from services.ingest.domain import Outbox, Proof, Proofs, Sends, SignedIn, Submission, Submitter
from services.ingest.settings import Settings

_KEYS = 100_000
_WRONG_WINDOW = 600.0
_MINUTE = 60.0
# A client waits ten minutes (RFC 5321 4.5.3.2.6) and then comes again: an answer must be there before.
_SUBMIT_SECONDS = 240.0


class Desk:
    """Where mail is handed in. For one event loop; not thread-safe."""

    def __init__(
        self, settings: Settings, proofs: Proofs, outbox: Outbox, clock: Clock, sends: Sends | None = None
    ) -> None:
        """Take whom to ask who somebody is, who takes the mail, and, where there are plans, what these allow."""
        self._sends = sends
        self._settings = settings
        self._clock = clock
        self._proofs = proofs
        self._outbox = outbox
        self._wrong = KeyedLimiter(settings.wrong_proofs_per_client, _WRONG_WINDOW, _KEYS, clock)
        self._at_once = KeyedGauge(settings.connections_per_account, _KEYS)
        self._mails = {
            True: KeyedLimiter(settings.relay_messages_per_minute, _MINUTE, _KEYS, clock),
            False: KeyedLimiter(settings.messages_per_minute, _MINUTE, _KEYS, clock),
        }

    async def sign_in(self, client: str, proof: Proof) -> SignedIn:
        """Return who is behind a proof. `client` is what its wrong ones are counted under, "" for no limit.

        Raises:
            UnauthenticatedError: nobody, after the time that every refusal takes.
            ExhaustedError: "client_attempts": too many of this client were wrong; nobody was asked.
            SealpostError: it cannot be told now.
        """
        if client and self._wrong.allow(client) > 0:
            raise ExhaustedError("client_attempts")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.wrong_proof_seconds
        try:
            submitter = await self._proofs.sign_in(proof)
        except (UnauthenticatedError, InvalidError):
            await asyncio.sleep(until - loop.time())
            raise UnauthenticatedError("credential_invalid") from None
        except Exception:
            self._give_back(client)
            raise
        self._give_back(client)
        return SignedIn(submitter, proof, self._clock.monotonic() + self._settings.proof_seconds)

    async def renew(self, signed_in: SignedIn) -> None:
        """Have a proof checked again if that is long ago.

        Raises:
            UnauthenticatedError: nobody is behind it any more, or somebody else.
            SealpostError: it cannot be told now.
        """
        if self._clock.monotonic() < signed_in.until:
            return
        if await self._proofs.sign_in(signed_in.proof) != signed_in.submitter:
            raise UnauthenticatedError("credential_invalid")
        signed_in.until = self._clock.monotonic() + self._settings.proof_seconds

    def hold(self, submitter: Submitter) -> AbstractContextManager[None]:
        """Count a connection of an account while the block lasts. Raises ExhaustedError if it has too many."""
        return self._at_once.hold(submitter.account_id)

    def count_mail(self, submitter: Submitter) -> bool:
        """Count a mail that is begun; return whether the account has begun too many of late."""
        return self._mails[submitter.relay].allow(submitter.account_id) > 0

    async def may_send(self, submitter: Submitter, sender: str) -> bool:
        """Tell whether an account may send with an address. Raises SealpostError if that cannot be told."""
        return await self._outbox.may_send(submitter.account_id, sender)

    async def submit(self, submission: Submission) -> str:
        """Return the id of a submission that is durable; see domain.Outbox and domain.Sends. Bounded in time."""
        units = len(submission.recipients)
        try:
            async with asyncio.timeout(_SUBMIT_SECONDS):
                if self._sends is not None:
                    await self._sends.take(submission.submitter, units)
                return await self._sent(submission, units)
        except TimeoutError as error:
            raise UnavailableError("deadline") from error

    async def _sent(self, submission: Submission, units: int) -> str:
        try:
            return await self._outbox.submit(submission)
        except SealpostError as error:
            # Where nobody knows whether it is sent, it counts.
            if self._sends is not None and not isinstance(error, UnavailableError):
                self._sends.give_back(submission.submitter, units)
            raise

    def _give_back(self, client: str) -> None:
        if client:
            self._wrong.allow(client, -1)
