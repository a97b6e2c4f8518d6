"""One worker of the MX, put together. Started by main, on a port that it shares with its like."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from libs.mailbox.peers import AccountsClient, CryptoClient, StorageClient
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.settings import SettingsError, setting
from libs.telemetry import metrics
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.ingest import meters
from services.ingest.authentication import Checks, SenderAuthenticator
from services.ingest.dmarc import Organisations
from services.ingest.domain import Authenticator, NoAuthentication
from services.ingest.memory import Trim, trimmer
from services.ingest.receive import Inbound
from services.ingest.resolver import DnsResolver
from services.ingest.settings import Settings
from services.ingest.site import Parts, Site
from services.ingest.smtp import Edge
from services.ingest.tls import CertificateFiles
from services.ingest.totals import report
from services.ingest.workers import bind

_BACKLOG = 1024
_REPORT_EVERY = 1.0
_DNS_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(Settings):
    """The settings of the MX, and the worker's tie to its parent."""

    worker_channel: int = setting(help="file descriptor of the channel to the parent; set by it")


async def build(ctx: ServiceContext[WorkerSettings]) -> None:
    """Build the object graph of one worker and listen."""
    settings, clock = ctx.settings, ctx.clock
    accounts = AccountsClient(
        AccountsStub(ctx.peer("accounts")), clock, settings.route_cache_seconds, settings.route_unknown_seconds
    )
    crypto = CryptoClient(CryptoStub(ctx.peer("crypto")))
    storage = StorageClient(StorageStub(ctx.peer("storage")))
    for client in (accounts, crypto, storage):
        ctx.stack.push_async_callback(client.close)
    inbound = Inbound(settings.hostname, crypto, storage, clock, Trim(trimmer()).soon)
    parts = Parts(accounts, _authenticator(ctx), inbound, _certificate(ctx), clock)
    site = Site(settings, parts)
    meters.CONNECTIONS.watch(lambda: len(site.connections))
    meters.HELD.watch(lambda: site.admission.held)
    ctx.spawn("deadlines", site.watch())

    channel = socket.socket(fileno=settings.worker_channel)
    reader, writer = await asyncio.open_connection(sock=channel)
    ctx.spawn("parent", _follow(reader))
    ctx.stack.callback(writer.close)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Edge(site, loop), sock=bind(settings.smtp_address), backlog=_BACKLOG)
    ctx.stack.push_async_callback(site.drain, settings.drain_seconds)
    ctx.stack.callback(server.close)
    # The first report says that mail is taken.
    ctx.spawn("reports", _report(writer))


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
