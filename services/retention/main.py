"""retention, put together."""

from __future__ import annotations

import asyncio

from libs.events.dedupe import DedupeStore
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.runtime.context import ServiceContext
from libs.runtime.errors import SealpostError
from libs.runtime.service import run_service
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub
from protos.owner.v1.owner_pb2_grpc import DataOwnerStub
from services.retention.core_graph import Core, make_core
from services.retention.graph import CORE_COLLECTIONS, Peers, make_base
from services.retention.owners.own import OwnOwner
from services.retention.owners.remote import RemoteOwner
from services.retention.probes import graph as probes_graph
from services.retention.rights_graph import COLLECTIONS as RIGHTS_COLLECTIONS
from services.retention.rights_graph import make_rights
from services.retention.roles import DURABLE, ROLE_CHANGED, Roles
from services.retention.rpc import Parts, serve_retention
from services.retention.settings import Settings

OWNERS = ("accounts", "crypto", "storage", "delivery", "analytics", "billing")
COLLECTIONS = (*CORE_COLLECTIONS, *RIGHTS_COLLECTIONS, *probes_graph.COLLECTIONS)
_TERMS_SECONDS = 30.0

Context = ServiceContext[Settings]


async def build(ctx: Context) -> None:
    """Build one retention process."""
    store = await ctx.open_store(COLLECTIONS)
    own = OwnOwner()
    base = make_base(ctx.settings, store, ctx.clock, await asyncio.to_thread(lambda: ctx.policy), _peers(ctx, own))
    rights = make_rights(base)
    probing = probes_graph.make_probing(base)
    core = make_core(base, rights, probing)
    own.owner = Owner((*core.held, *rights.held, *probing.held), store, ctx.clock)
    await core.terms.refresh()
    ctx.spawn("terms", _know_terms(ctx, core))
    if ctx.settings.nats_url:
        bus = await ctx.connect_events()
        await bus.consume(DURABLE, ROLE_CHANGED, Roles(base.ledger).handle, DedupeStore(store, ctx.clock))

    async def replayed() -> bool:
        return not await core.replay.pending()

    ctx.health.add("replay", replayed)
    serve_owner(ctx.server, own.owner, None, ctx.settings.callers)
    serve_retention(ctx.server, Parts(core.calls, rights.versions, rights.cases), ctx.settings.callers)
    ctx.spawn("leader", core.leader.run((*core.duties, *rights.duties, *probing.duties)))


def _peers(ctx: Context, own: OwnOwner) -> Peers:
    owners = {name: RemoteOwner(name, DataOwnerStub(ctx.peer(name))) for name in OWNERS}
    return Peers(AccountsStub(ctx.peer("accounts")), DeliveryStub(ctx.peer("delivery")), {**owners, own.service: own})


async def _know_terms(ctx: Context, core: Core) -> None:
    """Have this process, whether it leads or not, know the numbers in force."""
    while True:
        await asyncio.sleep(_TERMS_SECONDS)
        try:
            await core.terms.refresh()
        except SealpostError as error:
            ctx.log.warning("terms_not_renewed", error=error)


if __name__ == "__main__":
    run_service("retention", Settings, build)
