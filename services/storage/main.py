"""storage, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.docstore.store import Store
from libs.events.relay import Relay
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import StoredTerms
from libs.policy import Terms, load_policy
from libs.runtime.clock import Clock
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from protos.storage.v1.storage_pb2_grpc import add_StorageServicer_to_server
from services.storage import repository, rpc
from services.storage.append import Appender
from services.storage.bodies import Bodies
from services.storage.domain import NewMessage
from services.storage.erased import ErasedMailboxes
from services.storage.expiry import Expiry, Trimmer
from services.storage.folders import Folders
from services.storage.held.beside import Buried
from services.storage.held.graph import classes_of
from services.storage.limits import Gate
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
    trimmer: Trimmer
    owner: Owner
    buried: Buried


def compose(store: Store, clock: Clock, max_body_bytes: int, terms: Terms | None = None) -> Graph:
    """Build the objects that work on `store`."""
    terms = terms or Terms(load_policy())
    gate = Gate()
    erased = ErasedMailboxes(store, gate, clock)
    usage = Usage(store, gate, clock)
    bodies = Bodies(store, clock, max_body_bytes)
    folders = Folders(store, usage, erased, clock)
    remover = Remover(store, usage, bodies, clock)
    parts = rpc.Parts(
        appender=Appender(store, usage, bodies, folders, erased),
        bodies=bodies,
        mailboxes=Mailboxes(remover, folders, erased, clock),
        folders=folders,
        objects=Objects(store, gate, erased, terms, clock),
        erased=erased,
    )
    owner = Owner(classes_of(store, parts, Expiry(store, remover), terms, clock), store, clock)
    return Graph(
        parts=parts,
        usage=usage,
        recovery=Recovery(store, remover, clock),
        recount=Recount(store, usage, clock),
        trimmer=Trimmer(store, remover),
        owner=owner,
        buried=Buried(erased, owner),
    )


async def build(ctx: ServiceContext[Settings]) -> None:
    """Build one storage process."""
    settings = ctx.settings
    store = await ctx.open_store(repository.COLLECTIONS)
    terms = StoredTerms(store, Terms(ctx.policy))
    await terms.load()
    graph = compose(store, ctx.clock, settings.max_body_bytes, terms.terms)
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
        Task("erased", graph.buried.step, every=_PERIOD_SECONDS),
        Task("bodies", graph.parts.bodies.sweep, every=_PERIOD_SECONDS),
        Task("folders", graph.parts.folders.sweep, every=_PERIOD_SECONDS),
        Task("recount", graph.recount.step, every=_RECOUNT_SECONDS),
        Task("compact", compact, every=settings.compact_seconds),
    ):
        ctx.spawn(task.name, task.run())

    ctx.server.add(add_StorageServicer_to_server, rpc.StorageRpc(graph.parts, settings.staging_streams), rpc.SERVICE)
    for method, callers in rpc.CALLERS.items():
        ctx.server.restrict(f"/{rpc.SERVICE}/{method}", set(callers) & set(settings.callers))
    serve_owner(ctx.server, graph.owner, terms, settings.callers)


async def _start_relay(ctx: ServiceContext[Settings], store: Store) -> Callable[[], None]:
    """Return what tells the relay of new events; without NATS they wait in their documents."""
    if not ctx.settings.nats_url:
        return lambda: None
    relay = Relay(store, await ctx.connect_events(), ctx.clock, ctx.health)
    ctx.spawn("relay", relay.run())
    return relay.announce


if __name__ == "__main__":
    run_service("storage", Settings, build)
