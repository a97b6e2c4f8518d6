"""What people are told about sending: a sentence for every stable word of delivery that may reach them."""

from __future__ import annotations

SENDING = {
    "attachment_type": "The type of an attachment is a media type, and neither multipart nor message.",
    "campaign_invalid": "The name of a campaign has 1 to 64 small letters, digits, hyphens and underscores.",
    "campaign_stopped": "This campaign was stopped; nothing is sent for it any more.",
    "content_malformed": "This is not a mail as RFC 5322 has it; look at line ends, long lines and the header.",
    "control_characters": "There are control characters in a field that must not have any.",
    "domain_invalid": "This is not a domain name.",
    "domain_public_suffix": "Domains are registered under this name by many; it cannot be one sender's own.",
    "domain_served": "This domain belongs to this installation.",
    "domain_taken": "Another account sends with this domain and still publishes its record of ownership.",
    "event_types": "Some of these are no types of events.",
    "from_malformed": "The sender is not an address that mail can be sent with.",
    "from_missing": "The mail has no From field.",
    "from_not_allowed": "The From field has an address that this account may not send with.",
    "header_not_allowed": "Some of these header fields cannot be set, or have no valid name.",
    "idempotency_key": "An idempotency key has at most 200 characters of ASCII that can be printed.",
    "idempotency_mismatch": "This idempotency key was used for another mail before.",
    "loop": "The mail has been going in circles: it has too many Received fields.",
    "recipient_invalid": "One of the recipients is not an address that mail can be sent to.",
    "recipient_missing": "The mail has no recipient.",
    "recipients_per_day": "This account has sent to as many recipients today as it may; please go on tomorrow.",
    "recipients_per_minute": "This account sends to too many recipients at once; please go on in a minute.",
    "role_missing": "This is for operators of this installation.",
    "send_at_invalid": "A mail can be sent later by 30 days at most.",
    "sender_domain": "There is no such sender domain.",
    "sender_not_allowed": "This account may not send with this address.",
    "sending_paused": "Sending is paused for this account; a mail in its mailbox says why and what helps.",
    "submission": "There is no such mail, or it was sent too long ago.",
    "suppression": "There is no such entry.",
    "too_large": "The mail is larger than allowed.",
    "too_many_recipients": "The mail has more recipients than allowed.",
    "too_many_sender_domains": "There are 50 sender domains already; give one up first.",
    "too_many_webhooks": "There are 10 webhooks already; delete one first.",
    "url_invalid": "This is not a URL that can be posted to: https, a host, no user information.",
    "url_refused": "This port or host cannot be posted to from here.",
    "webhook": "There is no such webhook.",
}
# Limits of what somebody has, not of how often he asks.
FULL = frozenset({"too_many_sender_domains", "too_many_webhooks"})
# Between the services.
FAULTS = frozenset({"profile", "submission_invalid", "token_unknown"})
