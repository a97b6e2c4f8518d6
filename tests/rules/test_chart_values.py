"""The values: a schema that lets no typing error pass, settings that exist, calls that are made, and no secret."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.policy import PolicyError, load_policy
from libs.runtime.settings import PREFIX, SettingsError, load
from tests.support import chart

SERVICES = sorted(chart.values()["services"])
SCHEMA: Any = json.loads((chart.CHART / "values.schema.json").read_text())


def schemas(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every schema of an object inside of `value`."""
    if isinstance(value, dict):
        if "properties" in value and "then" not in path and "if" not in path.split("/"):
            yield path, value
        for key, inner in value.items():
            yield from schemas(inner, f"{path}/{key}")


def test_no_object_takes_what_it_does_not_know() -> None:
    open_objects = [path for path, one in schemas(SCHEMA) if one.get("additionalProperties") is not False]
    assert open_objects == []


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every object in the values."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))


FREE = {"settings", "annotations", "consumes", "nodeSelector", "matchLabels"}


def is_strict(path: tuple[str, ...]) -> bool:
    """Tell whether an object is ours to name the keys of; of the services, which are alike, one is looked at."""
    return not FREE & set(path) and (path[:1] != ("services",) or path[1:2] in ((), ("ingest",)))


OBJECTS = [path for path in leaves(chart.values()) if is_strict(path)]


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: ".".join(path) or "top")
def test_a_typing_error_is_refused(path: tuple[str, ...]) -> None:
    wrong: Any = {"Unknown": 1}
    for key in reversed(path):
        wrong = {key: wrong}
    with pytest.raises(chart.RefusedError, match="Unknown"):
        chart.render(wrong)


@pytest.mark.parametrize(
    "values",
    [
        {"services": {"ingest": {"calls": ["crypto", "strangers"]}}},
        {"services": {"ingest": {"settings": {"Max-Connections": 5}}}},
        {"services": {"ingest": {"settings": {"callers": "everybody"}}}},
        {"services": {"crypto": {"settings": {"kek": "00"}}}},
        {"services": {"crypto": {"settings": {"other_secret": "00"}}}},
        {"services": {"ingest": {"resources": {"limits": None}}}},
        {"services": {"ingest": {"edge": {"from": []}}}},
        {"services": {"ingest": {"edge": {"port": 25}}}},
        {"services": {"ingest": {"edge": {"more": [{"name": "submission", "port": 2587}]}}}},
        {"services": {"delivery": {"egress": [{"ports": [25], "to": []}]}}},
        {"services": {"ingest": {"image": "sealpost/ingest:latest"}}},
        {"image": {"tag": "latest"}},
        {"dns": {"to": []}},
        {"drainSeconds": 0},
        {"tls": {"mode": "none"}},
        {"otlp": {"endpoint": "http://collector:4317", "to": chart.SOMEWHERE}},
        {"otlp": {"endpoint": "https://collector:4317"}},
        {"ingress": {"enabled": True, "host": "mail.example.org"}},
        {"nats": {"enabled": False}},
        {
            "nats": {
                "enabled": False,
                "existingSecret": "x",
                "external": {"url": "nats://x:4222", "to": chart.SOMEWHERE},
            }
        },
        {
            "nats": {
                "enabled": False,
                "existingSecret": "x",
                "external": {"url": "tls://a:b@x:1", "to": chart.SOMEWHERE},
            }
        },
        {"nats": {"enabled": False, "existingSecret": "x", "external": {"url": "tls://x:4222"}}},
        {"mongodb": {"enabled": False, "external": {"to": chart.SOMEWHERE}}},
        {"mongodb": {"enabled": False, "existingSecret": "x"}},
    ],
    ids=lambda values: json.dumps(values)[:60],
)
def test_what_would_be_unsafe_or_senseless_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(chart.RefusedError):
        chart.render(values)


def test_values_hold_no_secret() -> None:
    def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from texts(inner, name)
        elif isinstance(value, str):
            yield key, value

    for key, text in texts(chart.values()):
        if re.search("password|secret|token|credential", key, re.IGNORECASE):
            assert text == "", f"{key} must be empty: secrets come by reference"
        assert not re.fullmatch(r"[A-Za-z0-9+/=_-]{24,}", text), f"{key} looks like a secret"


def settings_of(name: str) -> Any:
    """Return the settings class of a service; skips where it is not written yet."""
    path = chart.ROOT / "services" / name / "settings.py"
    if not path.exists():
        pytest.skip(f"{name} has no settings yet")
    spec = importlib.util.find_spec(f"services.{name}.settings")
    assert spec is not None
    return importlib.import_module(f"services.{name}.settings").Settings


@pytest.mark.parametrize("variant", chart.VARIANTS)
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_understands_what_the_chart_tells_it(name: str, variant: str, tmp_path: Path) -> None:
    settings = settings_of(name)
    deployment = chart.find(chart.render(chart.VARIANTS[variant]), "Deployment", f"sealpost-{name}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    environ = {
        entry["name"]: str(secret) if entry["name"].endswith("_FILE") else entry["value"] for entry in container["env"]
    }
    loaded = load(settings, environ)
    called = any(name in service["calls"] for service in chart.values()["services"].values())
    assert loaded.grpc_address == ("0.0.0.0:7000" if called else "")
    assert set(loaded.peers) == set(chart.values()["services"][name]["calls"])
    assert bool(loaded.nats_url) == bool(loaded.nats_user) == bool(loaded.nats_password.reveal())
    assert {key for key in environ if not key.startswith(PREFIX)} == {"GRPC_VERBOSITY"}


def test_a_setting_that_does_not_exist_would_be_noticed() -> None:
    settings = settings_of("ingest")
    values = {"services": {"ingest": {"settings": {"max_conections": 5}}}}
    deployment = chart.find(chart.render(values), "Deployment", "sealpost-ingest")
    environ = {
        entry["name"]: entry["value"] for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    with pytest.raises(SettingsError, match="SEALPOST_MAX_CONECTIONS"):
        load(settings, environ)


def imported_interfaces(source: str) -> set[str]:
    """Return the services whose gRPC stubs (protos.<service>.v1.*_pb2_grpc) a module imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    found = (re.match(r"protos\.([a-z]+)\.v1\.[a-z_]+_pb2_grpc", name) for name in names)
    return {match[1] for match in found if match}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_calls_whom_the_table_says(name: str) -> None:
    sources = sorted((chart.ROOT / "services" / name).rglob("*.py"))
    # The clients for filling mailboxes are shared: whoever imports one of them calls its service.
    called = set().union(*(called_services(path.read_text()) for path in sources)) - {name}
    if "owner" in called:
        # Whoever keeps something answers as its owner.
        called = called - {"owner"} | {one for one, entry in chart.values()["services"].items() if entry["store"]}
        called -= {name}
    table = set(chart.values()["services"][name]["calls"])
    assert called == table, f"{name} imports other stubs than the table names"


def called_services(source: str) -> set[str]:
    """Return the services that a module has a stub or a shared client of."""
    shared = {
        imported.name.removesuffix("Client").lower()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "libs.mailbox.peers"
        for imported in node.names
        if imported.name.endswith("Client")
    }
    if "open_allowances(" in source:
        shared.add("billing")
    return shared | imported_interfaces(source)


def test_shared_clients_count_as_stubs() -> None:
    assert called_services("from libs.mailbox.peers import AccountsClient, CryptoClient") == {"accounts", "crypto"}
    assert called_services("from libs.mailbox.peers import MIB") == set()
    assert called_services("allowances = open_allowances(ctx)") == {"billing"}


def test_stubs_are_found_however_they_are_imported() -> None:
    assert imported_interfaces("from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc") == {"crypto"}
    assert imported_interfaces("import protos.crypto.v1.crypto_pb2_grpc as x") == {"crypto"}
    assert imported_interfaces("from protos.crypto.v1.crypto_pb2_grpc import CryptoStub") == {"crypto"}
    assert imported_interfaces("from protos.crypto.v1 import crypto_pb2") == set()


def test_overrides_of_the_policy_reach_every_service_and_are_what_the_model_takes(tmp_path: Path) -> None:
    documents = chart.render({"policy": {"overrides": {"public_mail_seconds": 172800}}})
    (told,) = [one for one in documents if one["kind"] == "ConfigMap" and "-policy-" in one["metadata"]["name"]]
    file = tmp_path / "overrides.yaml"
    file.write_text(told["data"]["overrides.yaml"], encoding="utf-8")
    assert load_policy(file).rules["public_mail_seconds"].value == 172800
    for name in SERVICES:
        spec = chart.find(documents, "Deployment", f"sealpost-{name}")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        (path,) = [one["value"] for one in container["env"] if one["name"] == "SEALPOST_POLICY_OVERRIDES"]
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "policy"]
        assert path == f"{mount['mountPath']}/overrides.yaml"
        (volume,) = [one for one in spec["volumes"] if one["name"] == "policy"]
        assert volume["configMap"]["name"] == told["metadata"]["name"]
    for wrong in ({"public_mail_seconds": "2d"}, {"Public": 1}, {"public_mail_seconds": -1}):
        with pytest.raises(chart.RefusedError):
            chart.render({"policy": {"overrides": wrong}})
    weaker = tmp_path / "weaker.yaml"
    weaker.write_text("rules:\n  public_mail_seconds: 31536000\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="public_mail_seconds"):
        load_policy(weaker)
