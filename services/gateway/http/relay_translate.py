"""From delivery's messages to the JSON of the API."""

from __future__ import annotations

from typing import cast

from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import relay_models as models
from services.gateway.http.translate import at, at_or_never

_DAY = 86400
_PREFIX = "RECIPIENT_STATE_"


def submission(found: pb.Submission) -> models.Submission:
    """Translate a mail and its recipients."""
    return models.Submission(
        id=found.submission_id,
        submitted=at(found.submitted_at),
        send_at=at_or_never(found.send_at),
        campaign=found.campaign,
        recipients=[_recipient(one) for one in found.recipients],
    )


def event(found: pb.Event) -> models.DeliveryEvent:
    """Translate what happened to a recipient."""
    return models.DeliveryEvent(
        id=found.event_id,
        type=found.type,
        at=at(found.at),
        submission_id=found.submission_id,
        campaign=found.campaign,
        recipient=found.recipient,
        status=found.status,
    )


def sending(found: pb.Sending) -> models.Sending:
    """Translate how sending stands."""
    return models.Sending(
        sent_today=found.sent_today,
        limit_today=found.limit_today,
        limit_per_mail=found.limit_per_mail,
        paused=found.paused,
        reason=found.reason,
        bounced_per_mille=found.bounced_per_mille,
        complained_per_mille=found.complained_per_mille,
    )


def suppression(found: pb.Suppression) -> models.Suppression:
    """Translate an entry of the list."""
    return models.Suppression(id=found.suppression_id, reason=found.reason, created=at(found.created_day * _DAY))


def sender_domain(found: pb.SenderDomain) -> models.SenderDomain:
    """Translate a domain and its records."""
    records = [
        models.DnsRecord.model_validate(
            {
                "name": one.name,
                "type": one.type,
                "value": one.value,
                "purpose": one.purpose,
                "required": one.required,
                "state": one.state,
            }
        )
        for one in found.records
    ]
    return models.SenderDomain(
        domain=found.domain, verified=found.verified, records=records, checked=at_or_never(found.checked_at)
    )


def webhook(found: pb.Webhook) -> models.Webhook:
    """Translate a webhook."""
    return models.Webhook.model_validate(
        {
            "id": found.webhook_id,
            "url": found.url,
            "types": list(found.types),
            "state": found.state,
            "created": at(found.created_day * _DAY),
        }
    )


def _recipient(found: pb.RecipientStatus) -> models.RecipientStatus:
    state = pb.RecipientState.Name(found.state).removeprefix(_PREFIX).lower()
    return models.RecipientStatus(
        address=found.address,
        state=cast("models.State", state),
        attempts=found.attempts,
        next_attempt=at_or_never(found.next_attempt),
        status=found.status,
    )
