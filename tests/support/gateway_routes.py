"""Every route of the gateway: who may call it, with what, and what it says to somebody who names what is another's.

A route that is missing here fails tests/flow/test_gateway_roles.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One route. `status` is the answer to who may, `foreign` the one to who may but not with this thing."""

    route: str
    needs: str
    status: int = 200
    foreign: int | None = None
    form: str = ""

    @property
    def path(self) -> str:
        """The path, as a template."""
        return self.route.partition(" ")[2]


# What a route needs: nothing, a session, that of an operator, or a session or an API key with this scope.
OPEN, SESSION, OPERATOR = "", "session", "operator"
# Not there for anybody who does not hold the role.
STAFF = "staff"
READ, WRITE, SEND = SCOPES = ("mail:read", "mail:write", "mail:send")

_ACCOUNT = [
    Row("GET /v1/info", OPEN),
    Row("POST /v1/kdf", OPEN, form="address"),
    Row("POST /v1/accounts", OPEN, 201, form="sign_up"),
    Row("POST /v1/session", OPEN, form="sign_in"),
    Row("POST /v1/recovery", OPEN, 401, form="sign_in"),
    Row("POST /v1/recovery/complete", OPEN, 401, form="complete"),
    Row("GET /v1/session", SESSION),
    # Whoever has no session has ended it; the cookie is taken back in any case.
    Row("DELETE /v1/session", OPEN, 204),
    Row("GET /v1/sessions", SESSION),
    Row("DELETE /v1/sessions", SESSION, 204),
    Row("PUT /v1/account/password", SESSION, 204, form="password"),
    Row("PUT /v1/account/recovery", SESSION, 204, form="recovery"),
    Row("GET /v1/credentials", SESSION),
    Row("POST /v1/credentials", SESSION, 201, form="credential"),
    Row("DELETE /v1/credentials/{credential_id}", SESSION, 204, 404),
    Row("GET /v1/forwarding", SESSION),
    Row("POST /v1/forwarding", SESSION, 201, form="forward"),
    Row("DELETE /v1/forwarding/{forward_id}", SESSION, 204, 404),
]
_MAIL = [
    Row("GET /v1/mailbox", READ),
    Row("POST /v1/folders", WRITE, 201, form="folder"),
    Row("PUT /v1/folders/{folder_id}", WRITE, 200, 404, form="folder"),
    Row("DELETE /v1/folders/{folder_id}", WRITE, 204, 404),
    Row("GET /v1/messages", READ),
    Row("GET /v1/messages/{message_id}", READ, 200, 404),
    Row("GET /v1/messages/{message_id}/body", READ, 200, 404),
    Row("GET /v1/messages/{message_id}/readers", READ, 200, 404),
    Row("POST /v1/messages/update", WRITE, 200, 200, form="update"),
    Row("POST /v1/messages/delete", WRITE, 200, 200, form="ids"),
    Row("GET /v1/events", READ),
    Row("POST /v1/recipients", SESSION, form="recipients"),
    Row("POST /v1/outbox/sealed", SESSION, 204, form="sealed"),
    Row("POST /v1/outbox/own", SESSION, 204, form="own"),
    Row("GET /v1/objects/{name}", SESSION),
    Row("PUT /v1/objects/{name}", SESSION, form="object"),
]
_PUBLIC = [
    Row("GET /v1/public/{address}/messages", OPEN),
    Row("GET /v1/public/{address}/messages/{message_id}", OPEN, 200, 404),
    Row("GET /v1/public/{address}/messages/{message_id}/raw", OPEN, 200, 404),
    Row("GET /v1/public/{address}/messages/{message_id}/readers", OPEN, 200, 404),
    Row("DELETE /v1/public/{address}/messages/{message_id}", OPEN, 204, 404),
    Row("GET /v1/public/{address}/events", OPEN),
    Row("GET /.well-known/openpgpkey/{domain}/hu/{name}", OPEN, 404),
    Row("GET /.well-known/openpgpkey/hu/{name}", OPEN, 404),
    Row("GET /.well-known/openpgpkey/{domain}/policy", OPEN),
    Row("GET /.well-known/openpgpkey/policy", OPEN),
    # Whatever the token: who guesses one learns nothing.
    Row("GET /u/{token}", OPEN),
    Row("POST /u/{token}", OPEN),
    Row("GET /f/{token}", OPEN),
    Row("POST /f/{token}", OPEN),
    Row("GET /m/{token}", OPEN, 404),
    Row("GET /o/{token}", OPEN),
    Row("POST /o/{token}", OPEN),
]
_RELAY = [
    Row("POST /v1/send", SEND, 202, form="send"),
    Row("GET /v1/send/{id}", SEND, 200, 404),
    Row("DELETE /v1/send/{id}", SEND, 200, 404),
    Row("GET /v1/send/events", SEND),
    Row("GET /v1/sending", SEND),
    # A campaign is a name that everybody may use; each has his own.
    Row("POST /v1/campaigns/{campaign}/stop", SEND, 200, 200),
    Row("GET /v1/campaigns/{campaign}/measuring", SEND, 200, 200),
    Row("PUT /v1/campaigns/{campaign}/measuring", SEND, 200, 200, form="measuring"),
    Row("GET /v1/campaigns/{campaign}/responses", SEND, 200, 200),
    Row("GET /v1/suppressions", SEND),
    Row("POST /v1/suppressions", SEND, 201, form="suppression"),
    Row("DELETE /v1/suppressions/{id}", SEND, 204, 204),
    Row("GET /v1/sender-domains", SESSION),
    Row("POST /v1/sender-domains", SESSION, 201, form="sender_domain"),
    Row("POST /v1/sender-domains/{domain}/check", SESSION, 200, 404),
    Row("DELETE /v1/sender-domains/{domain}", SESSION, 204, 204),
    Row("GET /v1/webhooks", SESSION),
    Row("POST /v1/webhooks", SESSION, 201, form="webhook"),
    Row("DELETE /v1/webhooks/{id}", SESSION, 204, 404),
    Row("POST /v1/webhooks/{id}/replay", SESSION, 200, 404, form="since"),
    Row("GET /v1/operator/dns", OPERATOR),
    Row("POST /v1/operator/resume", OPERATOR, form="address"),
]
_STAFF = [
    Row("GET /v1/operator/statistics", STAFF),
    Row("GET /v1/operator/statistics/{metric}/{cut}", STAFF),
    Row("GET /v1/operator/budget", STAFF),
    Row("GET /v1/operator/health", STAFF),
    Row("GET /v1/operator/audit", STAFF),
    Row("GET /v1/operator/holders", STAFF),
    Row("POST /v1/operator/holders", STAFF, form="address"),
    Row("DELETE /v1/operator/holders/{account_id}", STAFF),
]
_RIGHTS = [
    Row("GET /v1/rights", SESSION),
    Row("PUT /v1/rights/consents", SESSION, form="consents"),
    Row("PUT /v1/rights/contact", SESSION, form="contact"),
    # Nothing is announced that could be answered.
    Row("POST /v1/rights/notice", SESSION, 409, form="notice"),
    Row("GET /v1/rights/disclosures", SESSION),
    Row("DELETE /v1/rights/preferences", SESSION, 204),
    Row("POST /v1/account/erasure", SESSION, 202, form="erasure"),
    Row("DELETE /v1/account/erasure", SESSION, 204),
    Row("GET /v1/account/export", SESSION),
    Row("GET /v1/concerns", SESSION),
    Row("POST /v1/concerns", SESSION, 201, form="concern"),
    Row("GET /v1/concerns/{concern_id}", SESSION, 200, 404),
    Row("POST /v1/concerns/{concern_id}", SESSION, 200, 404, form="entry"),
    Row("POST /v1/concerns/{concern_id}/close", SESSION, 200, 404),
    Row("GET /v1/operator/concerns", STAFF),
    Row("GET /v1/operator/concerns/{concern_id}", STAFF),
    Row("POST /v1/operator/concerns/{concern_id}", STAFF, form="entry"),
    Row("POST /v1/operator/concerns/{concern_id}/close", STAFF),
    Row("GET /v1/operator/policy/versions", STAFF),
    Row("POST /v1/operator/policy/versions/{version}/announce", STAFF),
    Row("POST /v1/operator/policy/versions/{version}/activate", STAFF),
    Row("POST /v1/operator/policy/versions/{version}/withdraw", STAFF),
    Row("GET /v1/operator/retention", STAFF),
    Row("POST /v1/operator/retention/clock", STAFF),
    Row("POST /v1/operator/retention/probes", STAFF, form="probes"),
    Row("GET /v1/disclosure/cases", STAFF),
    Row("POST /v1/disclosure/cases", STAFF, 201, form="case"),
    Row("GET /v1/disclosure/cases/{case_id}", STAFF),
    Row("POST /v1/disclosure/cases/{case_id}/approve", STAFF),
    Row("POST /v1/disclosure/cases/{case_id}/refuse", STAFF, form="refusal"),
    Row("POST /v1/disclosure/cases/{case_id}/close", STAFF),
    Row("GET /v1/disclosure/cases/{case_id}/archive", STAFF),
]
_POLICY = [
    Row("GET /privacy", OPEN),
    Row("GET /privacy/versions", OPEN),
    # Two versions have to be named, and two days.
    Row("GET /privacy/diff", OPEN, 422),
    Row("GET /evidence/ledger.jsonl", OPEN, 422),
    Row("GET /transparency", OPEN),
    Row("GET /.well-known/sealpost-policy.json", OPEN),
    Row("GET /.well-known/sealpost-evidence.json", OPEN),
    # Whoever has no token finds nothing.
    Row("GET /v1/erasures/{token}", OPEN, 404),
    Row("GET /erasure/{token}", OPEN, 404),
]
# There is no billing behind this site; what it answers where there is one is tested with the fake of it.
_BILLING = [
    Row("GET /v1/billing/catalogue", SESSION, 503),
    Row("GET /v1/billing/standing", SESSION, 503),
    Row("PUT /v1/billing/plan", SESSION, 422),
    Row("DELETE /v1/billing/plan", SESSION, 503),
    Row("GET /v1/billing/usage", SESSION, 503),
    Row("GET /v1/billing/details", SESSION, 503),
    Row("PUT /v1/billing/details", SESSION, 422),
    Row("GET /v1/billing/entries", SESSION, 503),
    Row("GET /v1/billing/invoices", SESSION, 503),
    Row("GET /v1/billing/invoices/{number}", SESSION, 503),
    Row("POST /v1/billing/payments", SESSION, 422),
    Row("GET /v1/billing/payments/{payment_id}", SESSION, 503),
    Row("POST /v1/billing/portal", SESSION, 503),
    Row("POST /v1/billing/webhook", OPEN, 503),
    Row("GET /v1/operator/billing/payments", STAFF, 503),
    Row("POST /v1/operator/billing/payments", STAFF, 422),
    Row("POST /v1/operator/billing/payments/{payment_id}/reversal", STAFF, 503),
    Row("POST /v1/operator/billing/payments/{payment_id}/reversal/confirm", STAFF, 503),
    Row("GET /v1/operator/billing/invoices", STAFF, 503),
    Row("POST /v1/operator/billing/invoices/{number}/credit", STAFF, 422),
    Row("GET /v1/operator/billing/reconciliations", STAFF, 503),
]
TABLE = [*_ACCOUNT, *_MAIL, *_PUBLIC, *_RELAY, *_STAFF, *_RIGHTS, *_POLICY, *_BILLING]
