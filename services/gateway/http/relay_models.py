"""The JSON of the API for those who send: mails, what became of them, and what belongs to sending."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.gateway.http import models

MOST_RECIPIENTS = 1000

# A header of letters and a value; what may stand in either is checked where the mail is made.
Name = Annotated[str, Field(min_length=1, max_length=76)]
Value = Annotated[str, Field(max_length=2000)]
# "ann@example.org" or "Ann Example <ann@example.org>".
Mailbox = Annotated[str, Field(min_length=3, max_length=600)]
Mailboxes = Annotated[list[Mailbox], Field(max_length=MOST_RECIPIENTS)]
Campaign = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
Domain = Annotated[str, Field(min_length=1, max_length=253)]


class Attachment(models.In):
    """A file. `type` is its media type; never `multipart/…` or `message/…`."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    type: Annotated[str, Field(min_length=3, max_length=127)] = "application/octet-stream"
    content: models.Bytes


class Options(models.In):
    """What can be asked for with any mail."""

    send_at: AwareDatetime | None = None
    campaign: Campaign | None = None
    one_click_unsubscribe: bool = False


class SendIn(Options):
    """A mail in parts; Date and Message-ID are added. Recipients in `bcc` stay unknown to the others."""

    from_: Annotated[Mailbox, Field(alias="from")]
    to: Mailboxes = Field(default_factory=list)
    cc: Mailboxes = Field(default_factory=list)
    bcc: Mailboxes = Field(default_factory=list)
    reply_to: Annotated[list[Mailbox], Field(max_length=20)] = Field(default_factory=list)
    subject: Annotated[str, Field(max_length=1000)] = ""
    text: str | None = None
    html: str | None = None
    attachments: Annotated[list[Attachment], Field(max_length=100)] = Field(default_factory=list)
    headers: Annotated[dict[Name, Value], Field(max_length=50)] = Field(default_factory=dict)


class SendFrame(Options):
    """The header of a frame whose body is a whole mail."""

    from_: Annotated[models.Address, Field(alias="from")]
    recipients: Annotated[list[models.Address], Field(min_length=1, max_length=MOST_RECIPIENTS)]


class Sent(BaseModel):
    """A mail that is taken and durable."""

    id: str
    message_id: str


State = Literal["queued", "delivered", "bounced", "suppressed", "cancelled", "expired"]


class RecipientStatus(BaseModel):
    """How it stands with one recipient; `status` as RFC 3463 has it, empty before the first attempt."""

    address: str
    state: State
    attempts: int
    next_attempt: datetime | None
    status: str


class Submission(BaseModel):
    """A mail and its recipients."""

    id: str
    submitted: datetime
    send_at: datetime | None
    campaign: str
    recipients: list[RecipientStatus]


class DeliveryEvent(BaseModel):
    """One thing that happened to one recipient."""

    id: str
    type: str
    at: datetime
    submission_id: str
    campaign: str
    recipient: str
    status: str


class DeliveryEvents(BaseModel):
    """Newest first."""

    events: list[DeliveryEvent]
    next_cursor: str | None


class Suppression(BaseModel):
    """An entry of the list; the address itself is not kept."""

    id: str
    reason: str
    created: datetime


class Suppressions(BaseModel):
    """Newest first."""

    suppressions: list[Suppression]
    next_cursor: str | None


class SuppressionIn(models.In):
    """Whom not to write to any more."""

    address: models.Address


class Sending(BaseModel):
    """Recipients of today and of one mail, and thousandths of the last thousand whose fate is known."""

    sent_today: int
    limit_today: int
    limit_per_mail: int
    paused: bool
    reason: str
    bounced_per_mille: int
    complained_per_mille: int


class Stopped(BaseModel):
    """How many recipients will not get the mail of a campaign any more."""

    stopped: int


class DnsRecord(BaseModel):
    """A record to publish, and how the last look found it."""

    name: str
    type: str
    value: str
    purpose: str
    required: bool
    state: Literal["unchecked", "ok", "missing", "wrong", "unreachable"]


class SenderDomain(BaseModel):
    """A domain; only a verified one can be sent with."""

    domain: str
    verified: bool
    records: list[DnsRecord]
    checked: datetime | None


class SenderDomains(BaseModel):
    """All of them."""

    domains: list[SenderDomain]


class SenderDomainIn(models.In):
    """A domain to send with."""

    domain: Domain


class Webhook(BaseModel):
    """Where events are posted to. Without types all of them are."""

    id: str
    url: str
    types: list[str]
    state: Literal["ok", "failing", "off"]
    created: datetime


class Webhooks(BaseModel):
    """All of them."""

    webhooks: list[Webhook]


class WebhookIn(models.In):
    """A new webhook, or with `id` another URL or other types for one that exists, which switches it on again."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    types: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=20)] = Field(default_factory=list)
    id: models.Id | None = None


class WebhookOut(BaseModel):
    """The secret (Standard Webhooks) is in the answer to the making of a webhook and nowhere else."""

    webhook: Webhook
    secret: str | None


class ReplayIn(models.In):
    """From when on."""

    since: AwareDatetime


class Replayed(BaseModel):
    """How many events are posted again: the oldest 10,000 at most."""

    events: int


class ResumeIn(models.In):
    """Whose sending may go on."""

    address: models.Address
