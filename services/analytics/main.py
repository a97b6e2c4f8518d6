"""analytics, put together."""

from __future__ import annotations

from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.settings import SettingsError
from services.analytics.health.watching import Watch, parse_targets
from services.analytics.settings import Settings

Context = ServiceContext[Settings]


async def build(ctx: Context) -> None:
    """Build one analytics process."""
    _check(ctx.settings)
    watch = _watch(ctx)
    ctx.spawn("watch", watch.run())
    _ = ctx.server


def _check(settings: Settings) -> None:
    if 3600 % settings.hour_seconds:
        raise SettingsError(["SEALPOST_HOUR_SECONDS: does not divide 3600"])


def _watch(ctx: Context) -> Watch:
    try:
        return Watch(parse_targets(ctx.settings.targets), ctx.clock)
    except ValueError as error:
        raise SettingsError([f"SEALPOST_TARGETS: {error}"]) from error


if __name__ == "__main__":
    run_service("analytics", Settings, build)
