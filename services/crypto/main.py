"""crypto, put together."""

from __future__ import annotations

from libs.envelope import KeyedHash, KeyEncryptionKeys
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import StoredTerms
from libs.policy import Terms
from libs.runtime.context import ServiceContext
from libs.runtime.secret import Secret
from libs.runtime.service import run_service
from libs.runtime.settings import SettingsError
from protos.crypto.v1.crypto_pb2_grpc import add_CryptoServicer_to_server
from services.crypto import repository, rpc
from services.crypto.domain.directory import Directory
from services.crypto.domain.dkim import DkimKeys, Roots
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys
from services.crypto.domain.sealing import Sealer
from services.crypto.held import held_classes
from services.crypto.settings import Settings
from services.crypto.sweeper import KeyFamilies, Sweeper


async def build(ctx: ServiceContext[Settings]) -> None:
    """Build the object graph of one crypto process."""
    settings = ctx.settings
    kek, lookup = _keys(settings)
    store = await ctx.open_store(repository.COLLECTIONS)
    cache = (settings.key_cache, settings.key_cache_time.total_seconds())
    keys = DataKeys(repository.KeyRepository(store), kek, lookup, ctx.clock, cache)
    mail_keys = MailKeys(repository.MailKeyRepository(store), kek, ctx.clock, keys.compaction)
    dkim = DkimKeys(repository.DkimRepository(store), Roots(kek, lookup), ctx.clock, keys.compaction, cache)
    directory = Directory(
        repository.CertificateRepository(store),
        keys,
        lookup,
        ctx.clock,
        (settings.certificate_cache, settings.certificate_cache_time.total_seconds()),
    )
    sealer = Sealer(directory, keys, ctx.clock, settings.max_in_flight_bytes)
    servicer = rpc.CryptoRpc(directory, keys, sealer, rpc.OutboundKeys(mail_keys, dkim))
    ctx.server.add(add_CryptoServicer_to_server, servicer, rpc.SERVICE)
    for method, callers in rpc.CALLERS.items():
        ctx.server.restrict(f"/{rpc.SERVICE}/{method}", set(callers) & set(settings.callers))
    terms = StoredTerms(store, Terms(ctx.policy))
    await terms.load()
    owner = Owner(held_classes(store, directory, keys, mail_keys), store, ctx.clock)
    serve_owner(ctx.server, owner, terms, settings.callers)
    sweeper = Sweeper(KeyFamilies(keys, mail_keys, dkim), settings.sweep_interval.total_seconds(), settings.sweep_batch)
    ctx.spawn("sweeper", sweeper.run())


def _keys(settings: Settings) -> tuple[KeyEncryptionKeys, KeyedHash]:
    faults = []
    try:
        kek = KeyEncryptionKeys.from_file(Secret(settings.kek.reveal().encode()))
    except ValueError as error:
        faults.append(f"SEALPOST_KEK_FILE: {error}")
    try:
        lookup = KeyedHash(settings.lookup_key)
    except ValueError as error:
        faults.append(f"SEALPOST_LOOKUP_KEY_FILE: {error}")
    if faults:
        raise SettingsError(faults)
    return kek, lookup


if __name__ == "__main__":
    run_service("crypto", Settings, build)
