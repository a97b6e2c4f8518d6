"""The configuration of NATS that the chart makes, in three real servers, with the chart's own certificates."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest

from libs.docstore.store import Event
from libs.events.jetstream import EventBus
from libs.events.server_config import RIGHTS, Rights, permissions
from libs.rpc.tls import TlsFiles
from libs.runtime.backoff import Backoff
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from tests.support import chart

MANIFESTS = chart.render()


def secret(name: str) -> dict[str, bytes]:
    data = chart.find(MANIFESTS, "Secret", name)["data"]
    return {key: base64.b64decode(encoded) for key, encoded in data.items()}


def config(manifests: list[chart.Document]) -> str:
    text: str = chart.find(manifests, "ConfigMap", "sealpost-nats")["data"]["nats.conf"]
    return text


def users(manifests: list[chart.Document]) -> dict[str, Any]:
    found = re.findall(r"\{user: (\w+), password: \$(\w+)_password, permissions: (.*)\}$", config(manifests), re.M)
    assert all(user == password for user, password, _ in found)
    return {user: json.loads(allowed) for user, _, allowed in found}


def test_rights_are_those_of_the_local_platform() -> None:
    assert users(MANIFESTS) == {name: permissions(name, rights) for name, rights in RIGHTS.items()}


def test_values_say_the_same_as_the_code() -> None:
    declared = {
        name: Rights(tuple(one["publishes"]), tuple(one["listens"]), one["consumes"], one.get("facts", ""))
        for name, one in chart.values()["services"].items()
        if one["publishes"] or one["listens"] or one["consumes"] or one.get("facts")
    }
    assert declared == RIGHTS


def test_rights_of_a_consumer_too() -> None:
    values = {"services": {"crypto": {"publishes": ["mail.a.v1", "mail.b.v1"], "consumes": {"sweep": "mail.c.v1"}}}}
    rights = Rights(("mail.a.v1", "mail.b.v1"), (), {"sweep": "mail.c.v1"})
    assert users(chart.render(values))["crypto"] == permissions("crypto", rights)


def test_everything_is_on_disk_before_it_is_acknowledged() -> None:
    assert "sync_interval: always" in config(MANIFESTS)


@dataclass(frozen=True)
class Cluster:
    """Three servers that run."""

    ports: list[int]
    monitors: list[int]
    tls: dict[str, Path]

    @property
    def url(self) -> str:
        return ",".join(f"tls://localhost:{port}" for port in self.ports)

    async def bus(self, name: str) -> EventBus:
        password = Secret(secret("sealpost-nats")[name].decode())
        return await EventBus.connect(self.url, name, password, TlsFiles(self.tls[name]), name)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Run the rendered configuration, with other paths and ports, as three servers."""
    tls = {}
    for name in ("nats", "storage", "gateway"):
        tls[name] = tmp_path / f"tls-{name}"
        write_all(tls[name], secret(f"sealpost-tls-{name}"))
    write_all(tmp_path / "secrets", {"passwords.conf": secret("sealpost-nats")["passwords.conf"]})
    clients, routes, monitors = (free_ports(3) for _ in range(3))
    text = config(MANIFESTS)
    for number in range(3):
        text = re.sub(rf"sealpost-nats-{number}\.[a-z.-]+:6222", f"localhost:{routes[number]}", text)
    processes = []
    for number in range(3):
        home = tmp_path / f"node-{number}"
        home.mkdir()
        own = {
            "/etc/nats-tls": str(tls["nats"]),
            "../nats-secrets": "../secrets",
            "/var/run/nats": str(home),
            '"/data"': f'"{home}/data"',
            "0.0.0.0": "127.0.0.1",
            "port: 4222": f"port: {clients[number]}",
            "http_port: 8222": f'http: "127.0.0.1:{monitors[number]}"',
            "port: 6222": f'host: "127.0.0.1"\n  port: {routes[number]}',
        }
        mine = text
        for old, new in own.items():
            assert old in mine
            mine = mine.replace(old, new)
        (home / "nats.conf").write_text(mine)
        server = Path(sys.executable).parent / "nats-server"
        command = [str(server), "-c", str(home / "nats.conf"), "--log", str(home / "log")]
        environment = {"POD_NAME": f"sealpost-nats-{number}"}
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment))
    try:
        wait_for_leader(monitors, tmp_path)
        yield Cluster(clients, monitors, tls)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def write_all(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def state_of(port: int, page: str = "jsz") -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=2) as answer:
        return json.load(answer)


def wait_for_leader(monitors: list[int], home: Path) -> None:
    for _ in range(200):
        try:
            states = [state_of(port) for port in monitors]
        except OSError:
            states = []
        clusters = [state.get("meta_cluster", {}) for state in states]
        if clusters and all(one.get("leader") and one.get("cluster_size") == 3 for one in clusters):
            return
        asyncio.run(asyncio.sleep(0.1))
    logs = "\n".join(path.read_text()[-1500:] for path in sorted(home.glob("node-*/log")))
    pytest.fail(f"no cluster came together:\n{logs}")


@pytest.mark.timeout(60)
async def test_a_service_cannot_pose_as_a_node(cluster: Cluster, tmp_path: Path) -> None:
    intruder = tmp_path / "intruder"
    intruder.mkdir()
    nodes = [path.read_text() for path in sorted(tmp_path.glob("node-*/nats.conf"))]
    routes = re.search(r"routes: (\[.*\])", nodes[0])
    assert routes is not None
    files = {"ca_file": "ca.crt", "cert_file": "tls.crt", "key_file": "tls.key"}
    tls = {key: str(cluster.tls["storage"] / name) for key, name in files.items()}
    own = {"name": "sealpost", "host": "127.0.0.1", "port": free_ports(1)[0], "tls": tls}
    own["routes"] = json.loads(routes[1])
    text = json.dumps({"server_name": "intruder", "host": "127.0.0.1", "port": free_ports(1)[0], "cluster": own})
    (intruder / "nats.conf").write_text(text)
    (intruder / "log").touch()
    server = Path(sys.executable).parent / "nats-server"
    process = subprocess.Popen([str(server), "-c", str(intruder / "nats.conf"), "--log", str(intruder / "log")])
    try:
        for _ in range(150):
            if "Authorization Violation" in (intruder / "log").read_text():
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("nobody refused it")
        known = state_of(cluster.monitors[0], "routez")["routes"]
        assert {route["remote_name"] for route in known} == {"sealpost-nats-1", "sealpost-nats-2"}
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.timeout(60)
async def test_three_servers_make_a_cluster_that_carries_events(cluster: Cluster) -> None:
    storage, gateway = await cluster.bus("storage"), await cluster.bus("gateway")
    heard: asyncio.Queue[Event] = asyncio.Queue()

    async def listen(event: Event) -> None:
        heard.put_nowait(event)

    try:
        async with asyncio.timeout(30):
            await gateway.connected()
            await storage.connected()
            await gateway.subscribe_all("mail.stored.v1", listen)
            await publish_until_heard(storage, heard)
        await refuses_what_is_not_granted(cluster)
    finally:
        await asyncio.gather(storage.close(), gateway.close())


async def publish_until_heard(bus: EventBus, heard: asyncio.Queue[Event]) -> None:
    """A young cluster has no leader for a new stream at first, nor does every node know of a subscription at once."""
    async for attempt in Backoff(first=0.1, ceiling=1.0, attempts=30):
        with contextlib.suppress(UnavailableError):
            await bus.publish(Event(f"{attempt:032x}", "mail.stored.v1", b"payload"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                assert (await heard.get()).payload == b"payload"
                return
    pytest.fail("nothing was heard")


async def refuses_what_is_not_granted(cluster: Cluster) -> None:
    refused: asyncio.Queue[str] = asyncio.Queue()

    async def failed(error: Exception) -> None:
        refused.put_nowait(str(error).lower())

    context = tls_context(cluster.tls["gateway"])
    client = await nats.connect(
        f"tls://localhost:{cluster.ports[0]}",
        user="gateway",
        password=secret("sealpost-nats")["gateway"].decode(),
        tls=context,
        error_cb=failed,
        allow_reconnect=False,
    )
    await client.publish("mail.stored.v1", b"forged")
    async with asyncio.timeout(5):
        assert "permissions violation" in await refused.get()
    await client.close()
    with pytest.raises((nats.errors.Error, OSError)):
        await nats.connect(
            f"tls://localhost:{cluster.ports[0]}",
            user="gateway",
            password="wrong",
            tls=context,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            error_cb=failed,
        )


def tls_context(folder: Path) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context
