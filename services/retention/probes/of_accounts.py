"""Probes that use the accounts of the probes: rights, consents, keys, statistics' holders."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import replace
from urllib.parse import quote

from libs.runtime.errors import DeniedError, NotFoundError
from libs.runtime.ids import new_id
from protos.accounts.v1 import accounts_pb2 as pb
from protos.delivery.v1 import delivery_pb2
from services.retention.probes.mails import forget, listed, newest_mail
from services.retention.probes.people import session_of
from services.retention.probes.world import Broken, Person, UnknowableError, World, mark

# No mail of anybody can have more recipients.
_MOST_RECIPIENTS = 1000
# The limits of sending, and that of a plan, where it is the tighter one.
_TOO_MANY = ("too_many_recipients", "recipients_per_minute", "recipients_per_day", "allowance_used", "plan_lacks")
_ZBASE32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


async def statistics_few(world: World) -> None:
    """E3: no more see statistics than the policy says, and nobody without the role."""
    holders = await world.accounts.ListHolders(pb.ListHoldersRequest(role="statistics"), timeout=world.timeout)
    if len(holders.holders) > world.numbers.rule("statistics_holders"):
        raise Broken("too_many_holders")
    if holders.most > world.numbers.rule("statistics_holders"):
        raise Broken("limit_above_policy")
    person = await world.people.of("sealed")
    if (await world.web.ask("GET", "/v1/operator/statistics", token=person.token)).status != 404:
        raise Broken("statistics_open")


async def rights_answered(world: World) -> None:
    """E6: what is held can be seen and taken along, and a concern is heard."""
    person = await world.people.of("sealed")
    if (await world.web.ask("GET", "/v1/rights", token=person.token)).status != 200:
        raise Broken("rights_unanswered")
    archive = await world.web.ask("GET", "/v1/account/export", token=person.token)
    if archive.status != 200:
        raise Broken("export_refused")
    try:
        with zipfile.ZipFile(io.BytesIO(archive.body)) as read:
            names = read.namelist()
            manifest = read.read("manifest.json")
    except (zipfile.BadZipFile, KeyError) as error:
        raise Broken("export_damaged") from error
    if not any(name.startswith("data/accounts/account/") for name in names) or b'"missing": []' not in manifest:
        raise Broken("export_incomplete")
    await _concern(world, person)


async def _concern(world: World, person: Person) -> None:
    """See that a concern is kept and shown; one is enough for all times, so an earlier one counts."""
    listed = await world.web.ask("GET", "/v1/concerns", token=person.token)
    if listed.status != 200:
        raise Broken("concerns_unanswered")
    if not listed.json()["concerns"]:
        form = {"about": "other", "text": "A probe of this installation looks whether concerns are heard."}
        opened = await world.web.ask("POST", "/v1/concerns", form=form, token=person.token)
        if opened.status != 201:
            raise Broken("concern_refused")
        await world.web.ask("POST", f"/v1/concerns/{opened.json()['id']}/close", token=person.token)


async def preferences_forgotten(world: World) -> None:
    """E7: preferences go when they are asked to, and none is held beyond its time."""
    person = await world.people.of("sealed")
    before = (await world.web.ask("GET", "/v1/objects/settings", token=person.token)).json()
    form = {"sealed": base64.b64encode(b"\xc1" + mark().encode()).decode(), "version": before["version"]}
    if (await world.web.ask("PUT", "/v1/objects/settings", form=form, token=person.token)).status != 200:
        raise UnknowableError("preferences")
    if (await world.web.ask("DELETE", "/v1/rights/preferences", token=person.token)).status != 204:
        raise Broken("cannot_be_forgotten")
    after = (await world.web.ask("GET", "/v1/objects/settings", token=person.token)).json()
    if after["sealed"]:
        raise Broken("not_forgotten")
    await _in_time(world, "storage", "preferences")


async def _in_time(world: World, service: str, data_class: str) -> None:
    slack = 2 * world.numbers.rule("sweep_seconds") + 120
    for held in await world.owners[service].inventory():
        if held.data_class == data_class and held.first_due and held.first_due + slack < world.now:
            raise Broken("overdue")


async def mail_needs_consent(world: World) -> None:
    """E8: who has not asked for it cannot be written to for it."""
    person = await world.people.of("sealed")
    await _consent(world, person, newsletter=False)
    if await _written(world, person, "newsletter", "newsletter"):
        raise Broken("written_without_consent")
    await _consent(world, person, newsletter=True)
    before = frozenset(one["id"] for one in await listed(world, person))
    try:
        if not await _written(world, person, "newsletter", "newsletter"):
            raise Broken("consent_ignored")
    finally:
        await _consent(world, person, newsletter=False)
    if await _written(world, person, "newsletter", "newsletter"):
        raise Broken("withdrawal_ignored")
    await forget(world, person, (await newest_mail(world, person, before))["id"])


async def purposes_hold(world: World) -> None:
    """E10: nobody is written to for what the policy does not name, and every class has a purpose that it names."""
    person = await world.people.of("sealed")
    for purpose, letter in (("marketing", "newsletter"), ("service", "newsletter"), ("security", "contact")):
        if await _written(world, person, purpose, letter):
            raise Broken("other_purpose")
    answer = await world.web.ask("GET", "/.well-known/sealpost-policy.json")
    if answer.status != 200:
        raise UnknowableError("policy_not_served")
    document = answer.json()["document"]
    for name, one in document["classes"].items():
        if one["purpose"] not in document["purposes"]:
            raise Broken("class_without_purpose")
        if name in world.policy.classes and world.policy.classes[name].purpose != one["purpose"]:
            raise Broken("purpose_changed")


async def contact_for_purpose(world: World) -> None:
    """S5: a contact address stands in no file and serves nothing without consent."""
    person = await world.people.of("sealed")
    word = mark()
    contact = f"{word}@elsewhere.example"
    await _consent(world, person, contact=False)
    put = await world.web.ask("PUT", "/v1/rights/contact", form={"contact": contact}, token=person.token)
    if put.status != 200:
        raise UnknowableError("contact")
    try:
        if await world.traces(word):
            raise Broken("contact_in_clear")
        if await _written(world, person, "contact", "contact"):
            raise Broken("contact_without_consent")
    finally:
        await world.web.ask("PUT", "/v1/rights/contact", form={"contact": ""}, token=person.token)


async def keys_are_found(world: World) -> None:
    """S2: anybody's program finds a member's key, and so does a member who writes to him."""
    person = await world.people.of("sealed")
    local, _, domain = person.address.rpartition("@")
    name = _zbase32(hashlib.sha1(local.lower().encode(), usedforsecurity=False).digest())
    for path in (f"/.well-known/openpgpkey/hu/{name}", f"/.well-known/openpgpkey/{domain}/hu/{name}"):
        host = {"Host": domain} if "/hu/" in path and domain not in path else {}
        found = await world.web.ask("GET", f"{path}?l={quote(local)}", headers=host)
        if found.status == 200 and found.body == person.certificate:
            break
    else:
        raise Broken("key_not_found")
    if (await _recipients(world, person, person.address)).get("certificate") is None:
        raise Broken("member_not_found")


async def open_is_told(world: World) -> None:
    """S4: before a mail is sent it is said for each recipient whether it goes sealed or open."""
    person = await world.people.of("sealed")
    if (await _recipients(world, person, person.address)).get("certificate") is None:
        raise Broken("sealed_not_told")
    elsewhere = await _recipients(world, person, f"{mark()}@{mark()}.invalid")
    if elsewhere.get("certificate") is not None:
        raise Broken("open_not_told")


async def password_unknown(world: World) -> None:
    """S3: neither the password nor what is made of it is in any file, not even when somebody has just signed in."""
    person = await world.people.of("sealed")
    proof = base64.b64encode(person.authentication_key).decode("ascii")
    form = {"address": person.address, "authentication_key": proof}
    signed_in = await world.web.ask("POST", "/v1/session", form=form)
    if signed_in.status != 200:
        raise UnknowableError("sign_in")
    await world.web.ask("DELETE", "/v1/session", token=session_of(signed_in))
    if await world.traces(person.password, person.authentication_key, person.wrapping_key, person.private_key[-48:]):
        raise Broken("password_kept")


async def mass_mail_refused(world: World) -> None:
    """S6: a member cannot send to masses: not to one more than a mail of his can have, as he is told."""
    person = await world.people.of("sealed")
    told = await world.web.ask("GET", "/v1/sending", token=person.token)
    if told.status != 200:
        raise UnknowableError("sending")
    most = told.json().get("limit_per_mail")
    if not isinstance(most, int) or not 0 < most <= _MOST_RECIPIENTS:
        raise Broken("no_limit_told")
    to = [f"{mark()}@elsewhere.example" for _ in range(min(most + 1, _MOST_RECIPIENTS))]
    form = {"from": person.address, "to": to, "subject": "Probe", "text": "Probe"}
    answer = await world.web.ask("POST", "/v1/send", form=form, token=person.token)
    if answer.status < 400:
        raise Broken("mass_mail_taken")
    if answer.status >= 500 or answer.json().get("reason") not in _TOO_MANY:
        # Whoever may not send at all shows nothing about how much he may.
        raise UnknowableError("send")


async def lists_stay_theirs(world: World) -> None:
    """R3: whom a customer writes to is nobody that the platform could write to."""
    stranger = f"{mark()}@elsewhere.example"
    try:
        await world.accounts.FindAccount(pb.FindAccountRequest(address=stranger), timeout=world.timeout)
        raise Broken("stranger_known")
    except NotFoundError:
        pass
    person = await world.people.of("sealed")
    nobody = replace(person, account_id=new_id())
    if await _written(world, nobody, "policy", "policy_change"):
        raise Broken("writes_to_nobody")


async def _written(world: World, person: Person, purpose: str, letter: str) -> bool:
    """Tell whether `person` can be written to for a purpose; the letter is sent if so."""
    words = {"subject": "A probe", "text": "A probe looks whether consents are kept.", "version": "1"}
    wanted = delivery_pb2.SendPlatformMailRequest(
        notice_id=new_id(),
        account_id=person.account_id,
        purpose=purpose,
        letter=letter,
        fields={**words, "effective": "2026-12-24"},
    )
    try:
        await world.delivery.SendPlatformMail(wanted, timeout=world.timeout)
    except DeniedError as error:
        if error.reason in ("no_consent", "purpose"):
            return False
        raise
    except NotFoundError:
        return False
    return True


async def _consent(world: World, person: Person, **given: bool) -> None:
    answer = await world.web.ask("PUT", "/v1/rights/consents", form=dict(given), token=person.token)
    if answer.status != 200:
        raise UnknowableError("consents")


async def _recipients(world: World, person: Person, address: str) -> dict[str, object]:
    answer = await world.web.ask("POST", "/v1/recipients", form={"addresses": [address]}, token=person.token)
    if answer.status != 200:
        raise UnknowableError("recipients")
    found: dict[str, object] = answer.json()["recipients"][0]
    return found


def _zbase32(data: bytes) -> str:
    bits = int.from_bytes(data, "big")
    length = len(data) * 8 // 5
    return "".join(_ZBASE32[bits >> 5 * place & 31] for place in reversed(range(length)))
