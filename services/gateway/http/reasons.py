"""What people are told: a sentence for every stable word that may reach them.

The services behind raise words (libs.runtime.errors); here they become sentences that say what happened and what to do.
A sentence never repeats input and never names a cause inside. tests/unit/gateway/test_reasons.py looks the words up in
the sources of the services, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from services.gateway.http import billing_reasons, relay_reasons

# Of the request as such.
_REQUEST = {
    "fields": "Some fields of the request are missing or not of the right form; see the list.",
    "origin": "The request did not come from this site.",
    "rate": "Too many requests from here; please wait.",
    "too_many_at_once": "Too many connections of this kind are open from here; close some first.",
    "body_too_large": "The request is larger than allowed.",
    "body_late": "The request did not arrive in time.",
    "body_malformed": "The request cannot be read.",
    "media_type": "The body is not of the type that this path takes.",
    "frame": "The frame is cut off, or its header is larger than 64 KiB.",
    "request_malformed": "This is not a request of HTTP/1.1.",
    "headers_too_large": "The header of the request is larger than allowed.",
    "no_such_path": "There is nothing at this path.",
    "method": "This path does not take this method.",
    "id": "This is not the form of an id.",
    "busy": "Too much is going on right now; please try again in a moment.",
    "internal": "Something went wrong here; it is not your fault. Please try again later.",
    "unavailable": "This cannot be done right now; please try again in a moment.",
}
_ACCOUNTS = {
    "address_taken": "This address is taken.",
    "address_invalid": "This is not an address that can exist here.",
    "address_reserved": "This address is reserved and cannot be signed up for.",
    "domain_closed": "Nobody can sign up for an address at this domain.",
    "sign_up_limit": "Too many sign-ups for addresses that are taken; please wait before the next one.",
    "sign_up_interrupted": "The sign-up was interrupted; please send it again.",
    "bad_proof": "That does not match: check the address, and the password or recovery code.",
    "too_many_attempts": "Too many attempts for this address; please wait before the next one.",
    "session_missing": "There is no valid session; please sign in.",
    "scope_missing": "This key may not do that.",
    "authentication_key": "The authentication key must have 32 bytes.",
    "wrapped_private_key": "The wrapped private key is not in the format of this installation.",
    "fingerprint": "The certificate has no fingerprint of version 4.",
    "kdf_cost": (
        "These derivation parameters are too weak or too costly: Argon2id needs 19,456 to 1,048,576 KiB, 2 to 16"
        " iterations and 1 to 4 lanes."
    ),
    "kdf_salt": "The salt of the derivation must have 16 bytes.",
    "label": "A label has 1 to 64 characters that can be printed.",
    "scopes": "These scopes do not fit the kind of credential; at least one is needed, each once.",
    "too_many_credentials": "There are 50 credentials already; revoke one first.",
    "credential_not_found": "There is no such credential.",
    "forward_address": "This is not an address that mail can be forwarded to.",
    "forward_exists": "This address is in the list already; take it out first to ask it once more.",
    "forward_not_found": "There is no such address in the list.",
    "forward_own": "This address leads to a mailbox of this account, or to the operators.",
    "forward_public": "This inbox is public: everybody would read your mail there.",
    "forward_asks": "This was asked too often today; please wait until tomorrow.",
    "too_many_forwards": "There are 3 addresses already; take one out first.",
    "account_not_found": "This account does not exist any more.",
    "account_exists": "This sign-up has been made already.",
    "account_changed": "The account was changed at the same moment; please try again.",
}
_CERTIFICATES = {
    "certificate_address": "Every user id of the certificate must be the address that is signed up for.",
    "certificate_algorithm": "The certificate must be of Ed25519 (EdDSA) with a Curve25519 (ECDH) subkey.",
    "certificate_cannot_encrypt": "The certificate has no valid subkey that mail can be encrypted to.",
    "certificate_exists": "There is another certificate for this account already.",
    "certificate_expired": "The certificate has expired.",
    "certificate_malformed": "The certificate cannot be read.",
    "certificate_not_binary": "The certificate must be binary, not armored.",
    "certificate_not_yet_valid": "The certificate is dated in the future; check the clock of this device.",
    "certificate_packet": "The certificate contains something that does not belong there.",
    "certificate_revoked": "The certificate is revoked.",
    "certificate_secret": "This is a private key. Never send it; only the certificate is needed.",
    "certificate_seipdv2": "The certificate asks for a kind of encryption that GnuPG 2.2 cannot read.",
    "certificate_several": "There is more than one certificate; send one.",
    "certificate_too_large": "The certificate is larger than 64 KiB.",
    "certificate_version": "The certificate must be of version 4.",
    "certificate_unknown": "There is no certificate for this address.",
}
_OUT = {
    "id_time": "The id of the message is not of this time; check the clock of this device.",
    "not_sealed": "This is not sealed: an OpenPGP message, binary, encrypted to a certificate, is needed.",
    "recipient_unknown": "There is no member at this address.",
    "recipient_full": "The mailbox of the recipient is full.",
    "quota_bytes": "The mailbox is full; delete something first.",
    "quota_messages": "The mailbox has as many messages as it may have; delete some first.",
    "version": "This was changed elsewhere meanwhile; load it again first.",
}
_MAIL = {
    "not_public": "There is no public inbox at this address.",
    "message": "There is no such message.",
    "key_destroyed": "This message has expired, and the key that could open it is destroyed.",
    "message_too_large": "This message is larger than can be handed over.",
    "folder": "There is no such folder.",
    "folder_reserved": "This folder belongs to every mailbox; it cannot be renamed or deleted.",
    "folders": "There are as many folders as a mailbox may have; delete one first.",
    "sealed_name": "The sealed name of a folder has 1 to 1,024 bytes.",
    "flag": "There are three flags: seen, flagged and answered.",
    "message_ids": "At most 200 messages can be changed at once.",
    "cursor": "The cursor is not one of ours.",
    "limit": "A page has 1 to 200 messages.",
    "contention": "The mailbox was changed at the same moment; please try again.",
    "timeout": "This took too long and was stopped; please try again.",
    "deadline": "This took too long; please try again in a moment.",
}
_STATISTICS = {
    "cut_unknown": "There is no such statistic.",
    "range_invalid": "A range of statistics ends after it begins, and spans at most 400 days.",
    "too_many_holders": "As many people see statistics as the settings allow; take the role from somebody first.",
}
_RIGHTS = {
    "erasure_begun": "The erasure has begun and cannot be undone any more.",
    "erasure_not_due": "The erasure is not due yet.",
    "announcements_wait": "The last changes of this account are still being announced; please try again.",
    "receipt": "There is no receipt for this token.",
    "policy_version": "There is no such version of the policy, or it is not the one that waits for an answer.",
    "policy_state": "The version is not in a state in which this can be done.",
    "notice_running": "Not everybody whom it affects has had notice of this version for long enough.",
    "no_consent": "The owner of the account has not agreed to be reached for this.",
    "purpose": "The policy knows no such purpose.",
    "consent": "There are two consents: newsletter and contact.",
    "contact_address": "This is not an address that mail can be sent to.",
    "contact_public": "This inbox is public: everybody would read what is sent there.",
    "contact_own": "This address leads to this mailbox; a contact address is one elsewhere.",
    "rights_changed": "This was changed elsewhere at the same moment; please try again.",
    "about": "A concern is about a correction, a deletion, the processing, security or something else.",
    "text": "A text has 1 to 5,000 characters.",
    "concern_not_found": "There is no such concern.",
    "concern_closed": "This concern is closed; raise another one.",
    "concern_full": "This concern has as many entries as it may have; raise another one.",
    "too_many_concerns": "There are as many concerns as there may be; close one first.",
    "mailbox": "This mailbox is erased.",
    "case": "There is no such case.",
    "case_state": "The case is not in a state in which this can be done.",
    "same_officer": "Another person than the one who began this has to do it.",
    "legal_basis": "The policy knows no such legal basis.",
    "data_classes": "These data may not be disclosed, or are none that the policy knows.",
    "disclosure_forbidden": "These data may not be disclosed.",
    "order_reference": "The reference of an order has 1 to 200 characters.",
    "period": "The period of an order ends after it begins, and not in the future.",
    "secret_until": "An order forbids to tell until a time that is still to come.",
    "reason": "A reason has 1 to 500 characters.",
    "address": "This is not an address that can exist here.",
    "day": "A day is written as YYYY-MM-DD, and the last is not before the first.",
    "clock_steady": "The clock has not moved; there is nothing to confirm.",
    "clause": "There is no such clause.",
}
DETAILS = (
    _REQUEST
    | _ACCOUNTS
    | _CERTIFICATES
    | _OUT
    | _MAIL
    | _STATISTICS
    | _RIGHTS
    | relay_reasons.SENDING
    | billing_reasons.BILLING
)

# What a field can be wrong in, by the words of pydantic; everything else is "not of the right form".
FIELD_DETAILS = {
    "missing": "This field is required.",
    "extra_forbidden": "The request has a field that is not known.",
    "json_invalid": "The request is not JSON.",
    "string_too_short": "This is too short.",
    "string_too_long": "This is too long.",
    "too_short": "There are too few of these.",
    "too_long": "There are too many of these.",
    "bytes_too_short": "These are too few bytes.",
    "bytes_too_long": "These are too many bytes.",
    "greater_than_equal": "This number is too small.",
    "less_than_equal": "This number is too large.",
    "base64": "This is not base64 (standard alphabet, padded).",
    "literal_error": "This is not one of the words that are allowed.",
}
FIELD_DETAIL = "This is not of the right form."

# Limits of what somebody has, not of how often he asks: waiting does not help, deleting something does.
FULL = (
    relay_reasons.FULL
    | billing_reasons.FULL
    | {
        "folders",
        "too_many_credentials",
        "too_many_forwards",
        "too_many_holders",
        "quota_bytes",
        "quota_messages",
        "recipient_full",
    }
)
# A larger plan helps, or paying what is due.
TO_PAY = billing_reasons.TO_PAY
# Buffers of ours that are full: not the caller asks too much, all of them together do.
BUSY = frozenset({"queue_full", "rpc_limit", "gauge_full", "seal_busy", "busy"})
# Between the services; whoever sees one of these has found a fault of ours, not one of his.
FAULTS = (
    relay_reasons.FAULTS
    | billing_reasons.FAULTS
    | frozenset(
        {
            "caller",
            "certificate",
            "denied",
            "unauthenticated",
            "unimplemented",
            "deadline_missing",
            "proof",
            "proof_kind",
            "kind",
            "account_id",
            "mailbox_id",
            "message_id",
            "directory_name",
            "forward",
            "forward_contended",
            "forward_unknown",
            "return_path_expired",
            "return_path_forged",
            "return_path_used",
            "object",
            "object_size",
            "body_abandoned",
            "body_not_staged",
            "field",
            "duplicate",
            "reservation_id",
            "too_many_items",
            "too_many_addresses",
            "sealed_data_invalid",
            "unspecified",
            "role",
            "audit_what",
            "reader_invalid",
            "days_invalid",
            "minutes_invalid",
            "key_unknown",
            "notice_id",
            "letter",
            "letter_fields",
            "officer",
        }
    )
)
