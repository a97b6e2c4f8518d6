"""storage, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.docstore.store import Store
from libs.events.relay import Relay
from libs.runtime.clock import Clock
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from protos.storage.v1.storage_pb2_grpc import add_StorageServicer_to_server
from services.storage import repository, rpc
from services.storage.append import Appender
from services.storage.bodies import Bodies
from services.storage.domain import NewMessage
from services.storage.expiry import Expiry, Trimmer
from services.storage.folders import Folders
from services.storage.mailboxes import Mailboxes
from services.storage.objects import Objects
from services.storage.recount import Recount
from services.storage.recovery import Recovery
from services.storage.removal import Remover
from services.storage.settings import Settings
from services.storage.upkeep import Task
from services.storage.usage import Usage

_PERIOD_SECONDS = 10.0
_RECOUNT_SECONDS = 30.0


@dataclass(frozen=True)
class Graph:
    """The objects of one storage process, without their wires."""

    parts: rpc.Parts
    usage: Usage
    recovery: Recovery
    recount: Recount
    expiry: Expiry
    trimmer: Trimmer


def compose(store: Store, clock: Clock, max_body_bytes: int) -> Graph:
    """Build the objects that work on `store`."""
    usage = Usage(store, clock)
    bodies = Bodies(store, clock, max_body_bytes)
    folders = Folders(store, usage, clock)
    remover = Remover(store, usage, bodies, clock)
    return Graph(
        parts=rpc.Parts(
            appender=Appender(store, usage, bodies, folders, clock),
            bodies=bodies,
            mailboxes=Mailboxes(store, remover, folders, clock),
            folders=folders,
            objects=Objects(store),
        ),
        usage=usage,
        recovery=Recovery(store, remover, clock),
        recount=Recount(store, usage, clock),
        expiry=Expiry(store, remover, clock),
        trimmer=Trimmer(store, remover),
    )


async def build(ctx: ServiceContext[Settings]) -> None:
    """Build one storage process."""
    settings = ctx.settings
    store = await ctx.open_store(repository.COLLECTIONS)
    graph = compose(store, ctx.clock, settings.max_body_bytes)
    await graph.recovery.start()

    trim = Task("trim", graph.trimmer.step, every=_PERIOD_SECONDS, gather=settings.trim_seconds)
    announce = await _start_relay(ctx, store)

    def stored(messages: Sequence[NewMessage]) -> None:
        announce()
        if graph.trimmer.note(messages):
            trim.wake.set()

    graph.parts.appender.stored = stored

    async def compact() -> int:
        await store.compact()
        return 0

    for task in (
        trim,
        Task("recovery", graph.recovery.step, every=_PERIOD_SECONDS),
        Task("expiry", graph.expiry.step, every=settings.expiry_seconds),
        Task("bodies", graph.parts.bodies.sweep, every=_PERIOD_SECONDS),
        Task("folders", graph.parts.folders.sweep, every=_PERIOD_SECONDS),
        Task("recount", graph.recount.step, every=_RECOUNT_SECONDS),
        Task("compact", compact, every=settings.compact_seconds),
    ):
        ctx.spawn(task.name, task.run())

    ctx.server.add(add_StorageServicer_to_server, rpc.StorageRpc(graph.parts, settings.staging_streams), rpc.SERVICE)
    for method, callers in rpc.CALLERS.items():
        ctx.server.restrict(f"/{rpc.SERVICE}/{method}", set(callers) & set(settings.callers))


async def _start_relay(ctx: ServiceContext[Settings], store: Store) -> Callable[[], None]:
    """Return what tells the relay of new events; without NATS they wait in their documents."""
    if not ctx.settings.nats_url:
        return lambda: None
    relay = Relay(store, await ctx.connect_events(), ctx.clock, ctx.health)
    ctx.spawn("relay", relay.run())
    return relay.announce


if __name__ == "__main__":
    run_service("storage", Settings, build)
