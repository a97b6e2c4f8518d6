"""One worker of the MX and submission, put together. Started by main, on ports that it shares with its like."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from libs.allowance import PlannedRoom, open_allowances
from libs.mailbox.peers import AccountsClient, CryptoClient, Planned, StorageClient
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.settings import SettingsError, setting
from libs.telemetry import metrics
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.ingest import meters
from services.ingest.admission import Admission
from services.ingest.authentication import Checks, SenderAuthenticator
from services.ingest.connection import Connection
from services.ingest.desk import Desk
from services.ingest.dmarc import Organisations
from services.ingest.domain import Authenticator, NoAuthentication, Sends
from services.ingest.forwarding import Forwarding
from services.ingest.listener import TlsListener
from services.ingest.memory import Trim, trimmer
from services.ingest.mx import MxEdge, Parts
from services.ingest.peers import DeliveryClient, PlannedSends, ProofsClient, SenderMemory
from services.ingest.receive import Inbound
from services.ingest.resolver import DnsResolver
from services.ingest.settings import Settings
from services.ingest.site import Site, drain, make_admission
from services.ingest.submission import SubmissionEdge
from services.ingest.tls import CertificateFiles
from services.ingest.totals import report
from services.ingest.workers import bind

_BACKLOG = 1024
_REPORT_EVERY = 1.0
_DNS_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(Settings):
    """The settings of the service, and the worker's tie to its parent."""

    worker_channel: int = setting(help="file descriptor of the channel to the parent; set by it")


@dataclass(frozen=True)
class Frame:
    """What the MX and submission have in common in this process."""

    admission: Admission
    tls: CertificateFiles | None
    trim: Trim
    # None where nothing that needs it is offered.
    delivery: DeliveryClient | None


async def build(ctx: ServiceContext[WorkerSettings]) -> None:
    """Build the object graph of one worker and listen."""
    settings = ctx.settings
    frame = Frame(make_admission(settings), _certificate(ctx), trim := Trim(trimmer()), _delivery(ctx, trim))
    facts = await ctx.open_facts() if settings.nats_url else None
    allowances = open_allowances(ctx)
    mx = Site(settings, frame.admission, frame.tls, ctx.clock, facts)
    submission = Site(settings, frame.admission, frame.tls, ctx.clock, facts)
    meters.CONNECTIONS.watch(lambda: len(mx.connections) + len(submission.connections))
    meters.HELD.watch(lambda: frame.admission.held)
    parts = _mx_parts(ctx, frame, PlannedRoom(allowances) if allowances is not None else None)
    desk = _desk(ctx, frame, PlannedSends(allowances) if allowances is not None else None)
    for site in (mx, submission):
        ctx.spawn("deadlines", site.watch())

    channel = socket.socket(fileno=settings.worker_channel)
    reader, writer = await asyncio.open_connection(sock=channel)
    ctx.spawn("parent", _follow(reader))
    ctx.stack.callback(writer.close)

    loop = asyncio.get_running_loop()
    ctx.stack.push_async_callback(drain, (mx, submission), settings.drain_seconds)
    await _listen(ctx, settings.smtp_address, lambda: MxEdge(mx, parts, loop))
    if desk is not None and settings.submission_address:
        await _listen(ctx, settings.submission_address, lambda: SubmissionEdge(submission, desk, loop))
    if desk is not None and settings.submissions_address and frame.tls is not None:
        listener = TlsListener(
            submission, frame.tls, lambda admitted: SubmissionEdge(submission, desk, loop, admitted), ctx.log
        )
        listening = bind(settings.submissions_address)
        listening.listen(_BACKLOG)
        ctx.spawn("submissions", listener.run(listening))
    # The first report says that mail is taken.
    ctx.spawn("reports", _report(writer))


async def _listen(ctx: ServiceContext[WorkerSettings], address: str, make: Callable[[], Connection]) -> None:
    server = await asyncio.get_running_loop().create_server(make, sock=bind(address), backlog=_BACKLOG)
    ctx.stack.callback(server.close)


def _mx_parts(ctx: ServiceContext[WorkerSettings], frame: Frame, room: Planned | None) -> Parts:
    settings, clock = ctx.settings, ctx.clock
    accounts = AccountsClient(
        AccountsStub(ctx.peer("accounts")), clock, settings.route_cache_seconds, settings.route_unknown_seconds, room
    )
    crypto = CryptoClient(CryptoStub(ctx.peer("crypto")))
    storage = StorageClient(StorageStub(ctx.peer("storage")))
    for client in (accounts, crypto, storage):
        ctx.stack.push_async_callback(client.close)
    inbound = Inbound(settings.hostname, crypto, storage, clock, frame.trim.soon)
    if frame.delivery is not None:
        inbound.forwarding = Forwarding(frame.delivery, settings.hostname)
    return Parts(accounts, _authenticator(ctx), inbound, frame.delivery if settings.bounce_domain else None)


def _desk(ctx: ServiceContext[WorkerSettings], frame: Frame, sends: Sends | None) -> Desk | None:
    if frame.delivery is None:
        return None
    return Desk(ctx.settings, ProofsClient(AccountsStub(ctx.peer("accounts"))), frame.delivery, ctx.clock, sends)


def _delivery(ctx: ServiceContext[WorkerSettings], trim: Trim) -> DeliveryClient | None:
    settings = ctx.settings
    if not (settings.submission_address or settings.submissions_address or settings.bounce_domain):
        return None
    senders = SenderMemory(ctx.clock, settings.route_cache_seconds, settings.route_unknown_seconds)
    client = DeliveryClient(DeliveryStub(ctx.peer("delivery")), senders, trim.soon)
    ctx.stack.push_async_callback(client.close)
    return client


def _authenticator(ctx: ServiceContext[WorkerSettings]) -> Authenticator:
    settings = ctx.settings
    if not settings.authentication_seconds:
        return NoAuthentication()
    resolver = DnsResolver(settings.resolvers, ctx.clock)
    ctx.spawn("resolver", resolver.watch())
    executor = ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="checks")
    ctx.stack.callback(executor.shutdown, wait=False, cancel_futures=True)
    seconds, signatures = settings.authentication_seconds, settings.max_signatures
    return SenderAuthenticator(Checks(resolver, Organisations(), executor, ctx.clock, seconds, signatures))


def _certificate(ctx: ServiceContext[WorkerSettings]) -> CertificateFiles | None:
    if not ctx.settings.smtp_tls_dir:
        return None
    try:
        return CertificateFiles(Path(ctx.settings.smtp_tls_dir), ctx.log)
    except OSError as error:
        raise SettingsError(["SEALPOST_SMTP_TLS_DIR: no usable tls.crt and tls.key there"]) from error


async def _follow(reader: asyncio.StreamReader) -> None:
    """Drain when the parent is gone: nobody would start us again, and a new parent starts workers of its own."""
    try:
        await reader.read()
    except ConnectionError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)


async def _report(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(json.dumps(report(metrics.REGISTRY.collect())).encode() + b"\n")
        try:
            await writer.drain()
        except ConnectionError:
            return
        await asyncio.sleep(_REPORT_EVERY)


if __name__ == "__main__":
    run_service("ingest", WorkerSettings, build)
