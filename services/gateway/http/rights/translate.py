"""From the services' messages to the JSON of rights."""

from __future__ import annotations

from protos.accounts.v1 import accounts_pb2
from protos.retention.v1 import retention_pb2
from services.gateway.http.rights import models
from services.gateway.http.translate import at, at_or_never

_DAY = 86400


def rights(found: accounts_pb2.Rights) -> models.Rights:
    """Translate what an account's owner has agreed to and asked for."""
    given = {one.purpose: models.Consent(given=one.given, changed=at_or_never(one.at)) for one in found.consents}
    never = models.Consent(given=False, changed=None)
    return models.Rights(
        consents=models.Consents(newsletter=given.get("newsletter", never), contact=given.get("contact", never)),
        contact=found.contact,
        erasure=erasure(found.erasure) if found.HasField("erasure") else None,
        notice=_notice(found.notice) if found.HasField("notice") else None,
        terms=found.terms,
    )


def erasure(found: accounts_pb2.Erasure) -> models.Erasure:
    """Translate an erasure that is asked for."""
    return models.Erasure(asked=at(found.asked_at), due=at(found.due), receipt_token=found.receipt_token or None)


def _notice(found: accounts_pb2.Notice) -> models.Notice:
    return models.Notice.model_validate(
        {
            "version": found.version,
            "noticed": at(found.noticed_at),
            "answer": found.answer,
            "effective": at_or_never(found.effective),
            "old_terms_until": at_or_never(found.old_terms_until),
        }
    )


def receipt(found: retention_pb2.Receipt) -> models.Receipt:
    """Translate the receipt of an erasure."""
    lines = [
        models.ReceiptLine(
            service=one.service,
            data_class=one.data_class,
            count=one.count,
            keys=one.keys,
            kept=one.kept,
            kept_until=at_or_never(one.kept_until_day * _DAY),
        )
        for one in found.lines
    ]
    return models.Receipt.model_validate(
        {
            "state": found.state,
            "asked": at(found.asked_at),
            "due": at(found.due),
            "keys_gone": at_or_never(found.keys_gone_at),
            "done": at_or_never(found.done_at),
            "lines": lines,
            "ledger_entry": found.entry or None,
        }
    )


def concern(found: accounts_pb2.Concern, *, staff: bool = False) -> models.Concern:
    """Translate a concern; only staff is told whose it is."""
    return models.Concern.model_validate(
        {
            "id": found.concern_id,
            "state": found.state,
            "about": found.about,
            "opened": at(found.opened_at),
            "changed": at(found.changed_at),
            "entries": [models.Entry(by_staff=one.by_staff, at=at(one.at), text=one.text) for one in found.entries],
            "address": found.address if staff else None,
        }
    )


def told(found: retention_pb2.Told) -> models.Told:
    """Translate a disclosure, as its subject sees it."""
    return models.Told(
        id=found.case_id,
        decided=at(found.decided_at),
        told=at(found.told_at),
        legal_basis=found.legal_basis,
        since=at(found.since),
        until=at(found.until),
        data_classes=list(found.data_classes),
    )


def case(found: retention_pb2.Case) -> models.Case:
    """Translate a case, as officers see it."""
    return models.Case.model_validate(
        {
            "id": found.case_id,
            "state": found.state,
            "order_reference": found.order_reference,
            "legal_basis": found.legal_basis,
            "address": found.address,
            "since": at(found.since),
            "until": at(found.until),
            "data_classes": list(found.data_classes),
            "secret_until": at_or_never(found.secret_until),
            "opened": at(found.opened_at),
            "decided": at_or_never(found.decided_at),
            "exported": at_or_never(found.exported_at),
            "told": at_or_never(found.told_at),
            "opened_by_me": found.opened_by_caller,
            "archive_sha256": found.archive_hash.hex() or None,
            "archive_size": found.archive_size or None,
            "refusal": found.refusal or None,
        }
    )


def version(found: retention_pb2.PolicyVersion) -> models.Version:
    """Translate a version of the policy without its document."""
    return models.Version.model_validate(
        {
            "version": found.version,
            "state": found.state,
            "replaces": found.replaces or None,
            "material": found.material,
            "changes": [change(one) for one in found.changes],
            "proposed": at_or_never(found.proposed_at),
            "announced": at_or_never(found.announced_at),
            "earliest": at_or_never(found.earliest),
            "activated": at_or_never(found.activated_at),
            "noticed": found.noticed,
            "refused": found.refused,
        }
    )


def change(found: retention_pb2.Change) -> models.Change:
    """Translate one difference between two versions."""
    return models.Change(
        kind=found.kind,
        subject=found.subject,
        material=found.material,
        before=found.before,
        after=found.after,
        profiles=list(found.profiles),
    )


def state(found: retention_pb2.State, evidence: retention_pb2.Evidence) -> models.RetentionState:
    """Translate what operators see of retention."""
    return models.RetentionState(
        clock_held=found.clock_held,
        clock_moved=found.clock_moved,
        erasures_waiting=found.erasures_waiting,
        erasures_running=found.erasures_running,
        replaying=found.replaying,
        last_round=found.last_round,
        version=evidence.version,
        sweeps=[_sweep(one) for one in found.sweeps],
        classes=[_class(one) for one in evidence.classes],
        probes=[_probe(one) for one in evidence.clauses],
        canaries=[_canary(one) for one in evidence.canaries],
    )


def _sweep(found: retention_pb2.Sweep) -> models.Sweep:
    return models.Sweep(
        service=found.service,
        data_class=found.data_class,
        at=at_or_never(found.at),
        deleted=found.deleted,
        fault=found.fault or None,
    )


def _class(found: retention_pb2.ClassEvidence) -> models.ClassState:
    return models.ClassState(
        data_class=found.data_class,
        count=found.count,
        at_least=found.at_least,
        first_due=at_or_never(found.first_due),
        last_sweep=at_or_never(found.last_sweep),
        overdue=found.overdue,
    )


def _probe(found: retention_pb2.ClauseEvidence) -> models.Probe:
    return models.Probe.model_validate(
        {
            "clause": found.clause,
            "result": found.result,
            "at": at_or_never(found.at),
            "since": at_or_never(found.since),
            "detail": found.detail,
        }
    )


def _canary(found: retention_pb2.Canary) -> models.Canary:
    return models.Canary.model_validate(
        {
            "data_class": found.data_class,
            "planted": at_or_never(found.planted),
            "due": at_or_never(found.due),
            "state": found.state,
            "checked": at_or_never(found.checked),
        }
    )
