"""A whole process: starts, serves over mutual TLS, tells its health, drains, and ends with the right code."""

from __future__ import annotations

import asyncio
import signal
import ssl
from pathlib import Path

import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.rpc.channel import PeerChannel, connect
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import DeniedError, UnavailableError
from tests.support.rpc import certificates
from tests.unit.runtime.process import Service, run


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "key").write_text("00" * 32)
    return {
        "SEALPOST_TLS_DIR": str(certificates("tiny")),
        "SEALPOST_CALLERS": "gateway",
        "SEALPOST_KEY_FILE": str(tmp_path / "key"),
        "SEALPOST_DRAIN_SECONDS": "5",
    }


def channel(service: Service, caller: str = "gateway") -> PeerChannel:
    return connect("tiny", f"127.0.0.1:{service.port('grpc')}", TlsFiles(certificates(caller)))


async def test_from_start_to_stop(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_STORE": f"sqlite:{tmp_path}"}) as service:
        await service.until("ready")
        assert (await service.get("/livez")).status_code == 200
        assert (await service.get("/readyz")).text == "ready\nstore passing\n"
        metrics = (await service.get("/metrics")).text
        assert "process_resident_memory_bytes" in metrics
        assert 'sealpost_health_passing{check="store"} 1.0' in metrics
        async with channel(service) as peer:
            health = health_pb2_grpc.HealthStub(peer)
            answer = await health.Check(health_pb2.HealthCheckRequest(service="test.Tiny"), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            assert await _work(peer, b"0") == b"done"
        service.signal()
        assert await service.exit_code() == 0
        assert service.stderr() == ""
    started = [event for event in service.events() if event not in ("listening", "building")]
    assert started == ["starting", "ready", "signal", "stopping", "closing_last", "stopped"]


async def test_a_service_idles_below_90_mb(tmp_path: Path, environ: dict[str, str]) -> None:
    nats = {"SEALPOST_NATS_URL": "tls://127.0.0.1:1", "SEALPOST_STORE": f"sqlite:{tmp_path}"}
    async with run(tmp_path, environ | nats) as service:
        await service.until("ready")
        async with channel(service) as peer:
            await _work(peer, b"0")
        await service.get("/metrics")
        assert service.rss_mb() < 90


async def test_a_call_under_way_is_finished_and_no_other_is_taken(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ) as service:
        await service.until("ready")
        async with channel(service) as peer, channel(service) as late:
            under_way = asyncio.create_task(_work(peer, b"1.5"))
            await asyncio.sleep(0.3)
            service.signal()
            await service.until("stopping")
            assert (await service.get("/readyz")).status_code == 503
            assert (await service.get("/livez")).status_code == 200
            with pytest.raises(UnavailableError):
                await _work(late, b"0")
            assert not under_way.done()
            assert await under_way == b"done"
        assert await service.exit_code() == 0


async def test_a_call_that_outlasts_the_drain_is_given_up(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_DRAIN_SECONDS": "0.2"}) as service:
        await service.until("ready")
        async with channel(service) as peer:
            under_way = asyncio.create_task(_work(peer, b"60"))
            await asyncio.sleep(0.3)
            service.signal()
            with pytest.raises(UnavailableError):
                await under_way
        assert await service.exit_code() == 0


async def test_interrupt_is_a_stop_too(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": "task_runs"}) as service:
        await service.until("ready")
        service.signal(signal.SIGINT)
        assert await service.exit_code() == 0


@pytest.mark.parametrize(
    ("mode", "event", "error"),
    [
        ("task_fails", "task_failed", "RuntimeError"),
        ("task_cancels_itself", "task_cancelled", None),
        ("build_fails", "start_failed", "ValueError"),
    ],
)
async def test_what_fails_stops_the_process(
    tmp_path: Path, environ: dict[str, str], mode: str, event: str, error: str | None
) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": mode}) as service:
        assert await service.exit_code() == 1
    (line,) = [line for line in service.lines() if line["event"] == event]
    assert (line["level"], line.get("error")) == ("error", error)
    assert service.events()[-2:] == ["closing_last", "stopped"]
    assert "canary" not in service.out.read_text() + service.stderr()


async def test_a_start_can_be_stopped(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": "build_hangs"}) as service:
        await service.until("building")
        assert (await service.get("/readyz")).status_code == 503
        service.signal()
        assert await service.exit_code() == 0
    assert "ready" not in service.events()


async def test_a_closing_that_fails_closes_the_rest(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": "close_fails"}) as service:
        await service.until("ready")
        service.signal()
        assert await service.exit_code() == 1
    assert "closing_last" in service.events()
    assert "canary" not in service.out.read_text() + service.stderr()


@pytest.mark.parametrize("mode", ["close_hangs", "thread_hangs"])
async def test_a_second_signal_cuts_a_closing_short(tmp_path: Path, environ: dict[str, str], mode: str) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": mode}) as service:
        await service.until("ready")
        service.signal()
        await service.until("stopping")
        await asyncio.sleep(0.2)
        service.signal()
        assert await service.exit_code() == 1
    assert service.events()[-1] == "stop_cut_short"


async def test_what_libraries_say_stays_inside(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": "foreign"}) as service:
        await service.until("ready")
        await _knock_wrongly(service)
        service.signal()
        assert await service.exit_code() == 0
    assert service.stderr() == ""
    assert "canary" not in service.out.read_text()
    assert service.events().count("foreign_log") == 1
    assert service.events().count("unhandled_in_loop") == 1
    assert "foreign_output" in service.events()


async def test_a_crash_still_says_where(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": "crashes"}) as service:
        assert await service.exit_code() == -signal.SIGSEGV
    assert "tiny.py" in service.stderr()


async def test_a_thread_that_hangs_does_not_keep_the_process(tmp_path: Path, environ: dict[str, str]) -> None:
    impatient = {"SEALPOST_MODE": "thread_stays", "SEALPOST_DRAIN_SECONDS": "0"}
    async with run(tmp_path, environ | impatient) as service:
        await service.until("ready")
        service.signal()
        assert await service.exit_code() == 1
    assert service.events()[-2:] == ["stopped", "stop_cut_short"]


async def test_wrong_settings_are_told_together(tmp_path: Path, environ: dict[str, str]) -> None:
    wrong = {
        "SEALPOST_DRAIN_SECONDS": "canary",
        "SEALPOST_RETENTOIN": "canary",
        "SEALPOST_KEY_FILE": str(tmp_path / "absent"),
    }
    async with run(tmp_path, environ | wrong) as service:
        assert await service.exit_code() == 2
    for name in wrong:
        assert f"  {name}: " in service.stderr()
    assert "canary" not in service.stderr()
    assert service.out.read_text() == ""


@pytest.mark.parametrize(
    ("mode", "variable"),
    [
        ("peer_missing", "SEALPOST_PEERS"),
        ("store_missing", "SEALPOST_STORE"),
        ("events_missing", "SEALPOST_NATS_URL"),
        ("server_missing", "SEALPOST_GRPC_ADDRESS"),
    ],
)
async def test_what_only_build_can_miss(tmp_path: Path, environ: dict[str, str], mode: str, variable: str) -> None:
    async with run(tmp_path, environ | {"SEALPOST_MODE": mode, "SEALPOST_GRPC_ADDRESS": ""}) as service:
        assert await service.exit_code() == 2
    assert f"  {variable}: " in service.stderr()


async def test_a_wrong_metrics_address_is_a_wrong_setting(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_METRICS_ADDRESS": "nonsense"}) as service:
        assert await service.exit_code() == 2
    assert "SEALPOST_METRICS_ADDRESS" in service.stderr()


async def test_without_certificates_it_does_not_start(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_TLS_DIR": str(tmp_path / "absent")}) as service:
        assert await service.exit_code() == 1
    (line,) = [line for line in service.lines() if line["event"] == "start_failed"]
    assert line["reason"] == "tls_files"


async def test_a_taken_port_ends_the_start(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "second").mkdir()
    async with run(tmp_path, environ) as first:
        await first.until("ready")
        taken = {"SEALPOST_METRICS_ADDRESS": f"127.0.0.1:{first.port('metrics')}"}
        async with run(tmp_path / "second", environ | taken) as second:
            assert await second.exit_code() == 1
        assert second.events()[-1] == "stopped"


async def test_without_gRPC_and_probes_it_just_runs(tmp_path: Path, environ: dict[str, str]) -> None:
    bare = {"SEALPOST_GRPC_ADDRESS": "", "SEALPOST_METRICS_ADDRESS": "", "SEALPOST_TLS_DIR": str(tmp_path)}
    async with run(tmp_path, environ | bare) as service:
        await service.until("ready")
        service.signal()
        assert await service.exit_code() == 0
    assert "listening" not in service.events()


async def test_events_away_do_not_make_it_unready(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ | {"SEALPOST_NATS_URL": "tls://127.0.0.1:1"}) as service:
        await service.until("ready")
        assert (await service.get("/readyz")).text == "ready\nevents failing\n"
        service.signal()
        assert await service.exit_code() == 0


async def test_strangers_are_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    async with run(tmp_path, environ) as service:
        await service.until("ready")
        async with channel(service, caller="ingest") as peer:
            with pytest.raises(DeniedError):
                await _work(peer, b"0")


async def test_help_is_the_table_of_settings(tmp_path: Path) -> None:
    async with run(tmp_path, {}, "--help") as service:
        assert await service.exit_code() == 0
    assert "SEALPOST_KEY_FILE" in service.out.read_text()
    assert "a secret of the tests" in service.out.read_text()


async def test_other_arguments_are_refused(tmp_path: Path) -> None:
    async with run(tmp_path, {}, "--port", "1") as service:
        assert await service.exit_code() == 2
    assert "--help" in service.stderr()


async def _work(peer: PeerChannel, seconds: bytes) -> object:
    return await peer.unary_unary("/test.Tiny/Work")(seconds, timeout=10)


async def _knock_wrongly(service: Service) -> None:
    """Speak plain text and TLS without a certificate to the gRPC port: its C core would like to talk about it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port("grpc"))
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    await reader.read(100)
    writer.close()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"https://127.0.0.1:{service.port('grpc')}/")
    await asyncio.sleep(0.2)
