"""The object graph of one analytics process, top to bottom: partitions and their intake, releases, health."""

from __future__ import annotations

from dataclasses import dataclass

from libs.docstore.store import Store
from libs.envelope import open_keks
from libs.owner.terms import TERMS
from libs.policy import Policy
from libs.runtime.clock import Clock
from libs.runtime.settings import SettingsError
from services.analytics.domain.counting import PartitionCounter
from services.analytics.health.watching import Watch, parse_targets
from services.analytics.intake.intake import Intake, Rhythm
from services.analytics.intake.leases import REPLICAS, Leases, Replica
from services.analytics.intake.partition import Tools
from services.analytics.intake.ports import Broker
from services.analytics.partitions import Partitions
from services.analytics.partitions_keys import WindowKeys
from services.analytics.partitions_pending import INTAKE_COLLECTIONS, Closing, StoredWindows
from services.analytics.release.graph import COLLECTIONS as RELEASE_COLLECTIONS
from services.analytics.release.graph import Releases, make_releases
from services.analytics.settings import Settings

COLLECTIONS = (*INTAKE_COLLECTIONS, REPLICAS, *RELEASE_COLLECTIONS, TERMS)


@dataclass(frozen=True)
class Base:
    """What everything stands on; `store` was opened with COLLECTIONS."""

    settings: Settings
    store: Store
    clock: Clock
    policy: Policy


def make_windows(base: Base) -> tuple[WindowKeys, StoredWindows]:
    """Return the keys of windows and the windows. Raises: SettingsError if the key file does not hold a key."""
    settings = base.settings
    keks = open_keks(settings.kek)
    keys = WindowKeys(base.store, keks, settings.hour_seconds)
    return keys, StoredWindows(base.store, keys, settings.hour_seconds)


def make_intake(base: Base, keys: WindowKeys, broker: Broker) -> Intake:
    """Return what counts."""
    settings = base.settings
    seconds = max(1, int(settings.lease.total_seconds()))
    leases = Leases(base.store, base.clock, Replica.here(settings.grpc_address), seconds)

    def make_counter(partition: int) -> PartitionCounter:
        return PartitionCounter(base.policy.metrics, settings.hour_seconds, partition)

    tools = Tools(
        partitions=Partitions(base.store),
        leases=leases,
        keys=keys,
        broker=broker,
        clock=base.clock,
        hour_seconds=settings.hour_seconds,
        make_counter=make_counter,
    )
    return Intake(tools, Closing(base.store), Rhythm(settings.tick.total_seconds()))


def make_release(base: Base, windows: StoredWindows) -> Releases:
    """Return what releases."""
    return make_releases(base.store, base.clock, base.settings, base.policy, windows)


def make_watch(base: Base) -> Watch:
    """Return what watches the services. Raises: SettingsError."""
    try:
        return Watch(parse_targets(base.settings.targets), base.clock)
    except ValueError as error:
        raise SettingsError([f"SEALPOST_TARGETS: {error}"]) from error
