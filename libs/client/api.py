"""The client library: an account on one sealpost, from sign-up to reading.

    with Client("https://mail.example.org") as client:
        client.login("ada@example.org", password)
        for mail in client.list():
            print(mail.envelope, client.read(mail.id))

Synchronous. Errors are those of libs.client.errors. The password is used and forgotten; the unlocked private key lives
as long as the object.
"""

from __future__ import annotations

import base64
import builtins
from collections.abc import Iterator, Sequence
from types import TracebackType
from urllib.parse import quote, urlencode

import httpx

from libs.client import keys
from libs.client.compose import Letter
from libs.client.errors import RefusedError, SignInNeededError
from libs.client.http import Http
from libs.client.model import Account, Json, Mail, Progress, PublicInbox, SignedUp, account_of, mail_of, well_formed
from libs.client.opening import OpenedMail, Opener
from libs.client.sending import Recipient, Sender, Sent, find_recipients
from libs.runtime.clock import Clock, SystemClock, unix_seconds
from libs.runtime.ids import is_id
from libs.runtime.secret import Secret

_PAGE = 100


class Client:
    """One user's view of one sealpost. Not for several threads."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Take the site's address and, to go on with a session, its token. `transport` is for tests."""
        self._http = Http(url, token, transport)
        self._clock = clock or SystemClock()
        self._progress = progress or _silent
        self._account: Account | None = None
        self._key: keys.PrivateKey | None = None
        self._opening: Opener | None = None

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Release the connections and forget the key. The session goes on."""
        self._key = self._opening = None
        self._http.close()

    @property
    def url(self) -> str:
        """The site's address in its plain form."""
        return self._http.origin

    @property
    def token(self) -> str:
        """The session token, empty if there is no session. Whoever has it has the session."""
        return self._http.token

    def info(self) -> dict[str, object]:
        """Return what the site says of itself."""
        return self._http.call("GET", "/v1/info")

    def signup(self, address: str, password: str, *, recovery: bool = False) -> SignedUp:
        """Make an account with a new private key, signed in; with `recovery`, also a recovery code.

        Raises: RefusedError("password_short", "address_taken", ...).
        """
        _check_length(password)
        kdf, new = keys.Kdf.fresh(), keys.generate(address, unix_seconds(self._clock))
        derived = self._derive(password, kdf)
        code = Secret(keys.new_recovery_code()) if recovery else None
        request: dict[str, object] = {
            "address": address,
            "kdf": kdf.to_json(),
            **_proof(derived),
            "certificate": _b64(new.certificate),
            "wrapped_private_key": _b64(keys.wrap(new.secret, new.fingerprint, derived)),
        }
        if code is not None:
            spare = keys.derive_recovery(code.reveal())
            wrapped = keys.wrap(new.secret, new.fingerprint, spare)
            request["recovery"] = {**_proof(spare), "wrapped_private_key": _b64(wrapped)}
        account = self._enter(self._http.call("POST", "/v1/accounts", request))
        self._key = keys.PrivateKey(new.secret, new.fingerprint)
        return SignedUp(account, code)

    def login(self, address: str, password: str) -> Account:
        """Start a session and unlock the private key. Raises RefusedError("bad_proof", ...)."""
        answer: Json = self._http.call("POST", "/v1/kdf", {"address": address})
        with well_formed():
            kdf = keys.Kdf.from_json(answer["kdf"])
        derived = self._derive(password, kdf)
        account = self._enter(self._http.call("POST", "/v1/session", {"address": address, **_proof(derived)}))
        self._unlock(account, derived)
        return account

    def account(self) -> Account:
        """Return the account of the session. Raises SignInNeededError."""
        if self._account is None:
            if not self.token:
                raise SignInNeededError("session_missing", "there is no session; sign in first")
            return self._enter(self._http.call("GET", "/v1/session"))
        return self._account

    def unlock(self, password: str) -> None:
        """Unlock the private key in a session that was taken up again. Raises RefusedError("wrong_password")."""
        account = self.account()
        self._unlock(account, self._derive(password, account.kdf))

    def logout(self) -> None:
        """End the session."""
        self._http.call("DELETE", "/v1/session")
        self._http.token, self._account, self._key, self._opening = "", None, None, None

    def recover(self, address: str, code: str, password: str) -> Account:
        """Set a new password with the recovery code; signed in afterwards."""
        _check_length(password)
        spare = keys.derive_recovery(code)
        found: Json = self._http.call("POST", "/v1/recovery", {"address": address, **_proof(spare)})
        with well_formed():
            fingerprint = str(found["fingerprint"])
            secret = keys.unwrap(base64.b64decode(found["wrapped_private_key"], validate=True), fingerprint, spare)
        kdf = keys.Kdf.fresh()
        derived = self._derive(password, kdf)
        request = {
            "address": address,
            "recovery_authentication_key": _b64(spare.authentication.reveal()),
            "kdf": kdf.to_json(),
            **_proof(derived),
            "wrapped_private_key": _b64(keys.wrap(secret, fingerprint, derived)),
        }
        account = self._enter(self._http.call("POST", "/v1/recovery/complete", request))
        self._key = keys.PrivateKey(secret, fingerprint)
        return account

    def list(self, folder: str = "inbox", limit: int = 50) -> builtins.list[Mail]:
        """Return at most `limit` mails of a folder ("" for all of them), newest first, envelopes opened and checked."""
        opener, found = self._opener(), []
        for page in self._pages("/v1/messages", {"folder": folder} if folder else {}, limit):
            found += opener.mails(page["messages"])
            self._progress("list", len(found), limit)
        return found[:limit]

    def read(self, mail_id: str) -> bytes:
        """Return a mail as it was received, trace fields in front. Raises RefusedError("not_found", "cannot_open")."""
        return self.open(mail_id).content

    def open(self, mail_id: str, *, ask: bool = False) -> OpenedMail:
        """Return a mail, and what is known of who wrote it. Raises RefusedError("not_found", "cannot_open").

        `ask`: the domain of a sender elsewhere may be asked for his key, and so learns that somebody reads the mail.
        """
        opener, path = self._opener(), f"/v1/messages/{_id(mail_id)}"
        body = self._http.download(f"{path}/body", self._downloaded)
        return opener.mail(self._http.call("GET", path), body, ask=ask)

    def recipients(self, *addresses: str) -> builtins.list[Recipient]:
        """Return how mail to each address would go. Raises SignInNeededError, UnreachableError."""
        self.account()
        return find_recipients(self._http, addresses)

    def send(self, letter: Letter, *, allow_open: bool = False) -> Sent:
        """Send a letter: sealed to whoever has a key, and in the clear to others where `allow_open` says so.

        Raises: RefusedError("open_recipients", "recipient_unknown", ...): nobody has got it. Where only some have,
        Sent.failed tells.
        """
        return self.send_to(letter, self.recipients(*letter.recipients), allow_open=allow_open)

    def send_to(self, letter: Letter, found: Sequence[Recipient], *, allow_open: bool = False) -> Sent:
        """Send a letter to its recipients as `recipients` has found them; see `send`."""
        unsealed = [one.address for one in found if not one.sealed]
        if unsealed and not allow_open:
            raise RefusedError("open_recipients", f"there is no key to seal it to for {', '.join(unsealed)}")
        sender = Sender(self._http, self.account(), self._unlocked(), self._clock, self._progress)
        return sender.send(letter, found)

    def delete(self, *mail_ids: str) -> builtins.list[str]:
        """Delete mails for good; return the ids that were not there."""
        self.account()
        ids, missing = [_id(mail_id) for mail_id in mail_ids], []
        for start in range(0, len(ids), _PAGE):
            answer: Json = self._http.call("POST", "/v1/messages/delete", {"ids": ids[start : start + _PAGE]})
            with well_formed():
                missing += [str(mail_id) for mail_id in answer["not_found"]]
        return missing

    def export_key(self) -> str:
        """Return the private key as text that `gpg --import` takes. It is not protected by a password."""
        return self._unlocked().armoured()

    def public(self, address: str, limit: int = 50) -> PublicInbox:
        """Return a public inbox; no session needed. Raises RefusedError("not_public")."""
        notice, found = "", []
        for page in self._pages(f"/v1/public/{_address(address)}/messages", {}, limit):
            with well_formed():
                notice = str(page["notice"])
            found += [mail_of(entry, _plain) for entry in page["messages"]]
            self._progress("list", len(found), limit)
        return PublicInbox(notice, found[:limit])

    def read_public(self, address: str, mail_id: str) -> bytes:
        """Return a mail of a public inbox as it was received."""
        return self._http.download(f"/v1/public/{_address(address)}/messages/{_id(mail_id)}/raw", self._downloaded)

    def _pages(self, path: str, query: dict[str, str], limit: int) -> Iterator[Json]:
        cursor, left = "", limit
        while left > 0:
            page_query = {**query, "limit": str(min(left, _PAGE)), **({"cursor": cursor} if cursor else {})}
            page: Json = self._http.call("GET", f"{path}?{urlencode(page_query)}")
            with well_formed():
                count, following = len(page["messages"]), page["next_cursor"]
            yield page
            if not following or not count:
                return
            cursor, left = str(following), left - count

    def _enter(self, answer: Json) -> Account:
        self._account, self._opening = account_of(answer), None
        return self._account

    def _derive(self, password: str, kdf: keys.Kdf) -> keys.DerivedKeys:
        self._progress("derive", 0, None)
        return keys.derive(password, kdf)

    def _unlock(self, account: Account, derived: keys.DerivedKeys) -> None:
        secret = keys.unwrap(account.wrapped_private_key, account.fingerprint, derived)
        self._key = keys.PrivateKey(secret, account.fingerprint)

    def _opener(self) -> Opener:
        key = self._unlocked()
        if self._opening is None:
            self._opening = Opener(self._http, self.account(), key)
        return self._opening

    def _unlocked(self) -> keys.PrivateKey:
        if self._key is None:
            raise SignInNeededError("locked", "the private key is locked; give the password first")
        return self._key

    def _downloaded(self, done: int, total: int | None) -> None:
        self._progress("download", done, total)


def _silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


def _check_length(password: str) -> None:
    if len(password) < keys.MIN_PASSWORD_CHARACTERS:
        raise RefusedError("password_short", f"a password has at least {keys.MIN_PASSWORD_CHARACTERS} characters")


def _proof(derived: keys.DerivedKeys) -> dict[str, str]:
    return {"authentication_key": _b64(derived.authentication.reveal())}


def _plain(envelope: object) -> Json | None:
    return envelope if isinstance(envelope, dict) else None


def _id(mail_id: str) -> str:
    if not is_id(mail_id):
        raise RefusedError("not_found", "there is no such mail")
    return mail_id


def _address(address: str) -> str:
    if "@" not in address:
        raise RefusedError("address_invalid", "an address has the form name@domain")
    return quote(address, safe="@")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
