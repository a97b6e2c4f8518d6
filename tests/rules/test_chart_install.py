"""`helm install` and `helm upgrade` against a stand-in for a cluster: what is made once stays as it is."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime import errors
from protos.storage.v1 import storage_pb2 as pb
from tests.support import chart
from tests.support.fake_kubernetes import FakeKubernetes, Objects
from tests.unit.rpc.storage import Storage, registration, stub

ISSUED = "sealpost.internal/issued"


@dataclass
class Installation:
    """One release in the stand-in."""

    cluster: FakeKubernetes
    home: Path

    def helm(self, *arguments: str) -> None:
        folders = {f"HELM_{name}_HOME": str(self.home / name) for name in ("CACHE", "CONFIG", "DATA")}
        environment = {"KUBECONFIG": str(self.cluster.kubeconfig), **folders}
        options = ["--namespace", chart.NAMESPACE, "--disable-openapi-validation"]
        chart.run_helm(*arguments[:1], chart.RELEASE, str(chart.CHART), *options, *arguments[1:], env=environment)

    def data(self, name: str) -> dict[str, bytes]:
        encoded = self.cluster.secret(chart.NAMESPACE, name)["data"]
        return {key: base64.b64decode(text) for key, text in encoded.items()}

    def everything(self) -> dict[str, dict[str, bytes]]:
        names = [
            path.rpartition("/")[2] for path in self.cluster.objects if "/secrets/" in path and "sh.helm" not in path
        ]
        return {name: self.data(name) for name in names}

    def age(self, name: str, days: int) -> None:
        annotations: Any = self.cluster.secret(chart.NAMESPACE, name)["metadata"]["annotations"]
        annotations[ISSUED] = str(int(annotations[ISSUED]) - days * 86400)


@pytest.fixture(scope="module")
def installed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Objects]]:
    """One installation for all tests: helm allows itself few requests a second."""
    home = tmp_path_factory.mktemp("installation")
    with FakeKubernetes(home).running() as cluster:
        installation = Installation(cluster, home)
        installation.helm("install")
        yield installation, copy.deepcopy(cluster.objects)


@pytest.fixture
def installed(installed_once: tuple[Installation, Objects]) -> Installation:
    """The installation as it was at first."""
    installation, objects = installed_once
    installation.cluster.objects.clear()
    installation.cluster.objects.update(copy.deepcopy(objects))
    return installation


def test_an_upgrade_keeps_what_there_is_adds_what_is_new_and_renews_what_is_old(installed: Installation) -> None:
    before = installed.everything()
    own = ("accounts", "analytics", "billing", "crypto", "delivery", "retention")
    kept = {f"sealpost-{name}" for name in (*own, "mongodb", "authority", "ingest-edge")}
    assert kept < set(before)
    installed.age("sealpost-tls-ingest", 121)
    installed.age("sealpost-tls-crypto", 119)
    installed.helm("upgrade", "--set", "services.crypto.publishes={mail.shredded.v1},drainSeconds=30")
    after = installed.everything()
    assert {name for name in after if after[name] != before[name]} == {"sealpost-tls-ingest", "sealpost-nats"}
    assert after["sealpost-tls-ingest"]["ca.crt"] == before["sealpost-tls-ingest"]["ca.crt"]
    lines = after["sealpost-nats"].pop("passwords.conf").decode().splitlines()
    assert len(after["sealpost-nats"].pop("crypto")) == 40
    names = ("accounts", "analytics", "billing", "crypto", "delivery", "gateway", "ingest", "retention", "storage")
    users = {f"{name}_password" for name in names}
    assert {line.partition(":")[0] for line in lines} == users
    before["sealpost-nats"].pop("passwords.conf")
    assert after["sealpost-nats"] == before["sealpost-nats"]


def test_keys_are_keys(installed: Installation) -> None:
    holders = ("sealpost-accounts", "sealpost-billing", "sealpost-crypto", "sealpost-delivery")
    keys = {(name, key): installed.data(name)[key] for name in holders for key in ("kek", "lookup_key")}
    assert len(set(keys.values())) == 8
    assert all(len(bytes.fromhex(text.decode())) == 32 for text in keys.values())


def test_other_names_need_other_certificates(installed: Installation) -> None:
    before = installed.everything()
    installed.helm("upgrade", "--set", "clusterDomain=cluster.example")
    after = installed.everything()
    changed = {name for name in after if after[name] != before[name]} - {"sealpost-mongodb"}
    assert changed == {name for name in after if name.startswith("sealpost-tls-")}


def test_certificates_name_who_holds_them(installed: Installation) -> None:
    names = [*chart.values()["services"], "nats", "mongodb"]
    for name in names:
        certificate = x509.load_pem_x509_certificate(installed.data(f"sealpost-tls-{name}")["tls.crt"])
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        hosts = extension.value.get_values_for_type(x509.DNSName)
        assert [host for host in hosts if host.endswith(".sealpost.internal")] == [f"{name}.sealpost.internal"]
        assert ("localhost" in hosts) == (name in ("nats", "mongodb"))


def test_where_mail_comes_in_the_name_is_that_of_the_mx(installed: Installation) -> None:
    certificate = x509.load_pem_x509_certificate(installed.data("sealpost-ingest-edge")["tls.crt"])
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == ["mx.sealpost.test"]


async def test_services_know_each_other_by_these_certificates(installed: Installation, tmp_path: Path) -> None:
    files = {}
    for name in ("storage", "ingest", "crypto"):
        files[name] = tmp_path / name
        files[name].mkdir()
        for key, content in installed.data(f"sealpost-tls-{name}").items():
            (files[name] / key).write_bytes(content)
    server = RpcServer("127.0.0.1:0", TlsFiles(files["storage"]), ("ingest", "gateway"))
    server.add(*registration(Storage()))
    await server.start()
    address = f"127.0.0.1:{server.port}"
    async with asyncio.timeout(20), connect("storage", address, TlsFiles(files["ingest"])) as channel:
        await stub(channel).Append(pb.AppendRequest(), timeout=5)
    async with asyncio.timeout(20), connect("storage", address, TlsFiles(files["crypto"])) as channel:
        with pytest.raises(errors.DeniedError):
            await stub(channel).Append(pb.AppendRequest(), timeout=5)
    await server.stop(0)
