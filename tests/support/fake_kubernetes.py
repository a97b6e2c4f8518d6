"""As much of a Kubernetes API server as `helm install` and `helm upgrade` need: it keeps objects and gives them back.

Nothing runs in it. Patches are merged as JSON merge patches, which is what a strategic merge comes to for the maps that
the tests look at.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import yaml

Objects = dict[str, dict[str, Any]]

_KINDS = {
    "v1": {"secrets": "Secret", "services": "Service", "configmaps": "ConfigMap", "serviceaccounts": "ServiceAccount",
           "namespaces": "Namespace", "persistentvolumeclaims": "PersistentVolumeClaim"},
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
}  # fmt: skip


class FakeKubernetes:
    """The server; `objects` by path, `kubeconfig` for who talks to it."""

    def __init__(self, home: Path) -> None:
        """Listen on a free port of the loopback; `home` gets the kubeconfig."""
        self.objects: Objects = {}
        handler = type("Handler", (_Handler,), {"objects": self.objects})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.kubeconfig = home / "kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fake",
                    "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                    "clusters": [{"name": "fake", "cluster": {"server": url}}],
                    "users": [{"name": "fake", "user": {}}],
                }
            )
        )

    @contextmanager
    def running(self) -> Iterator[FakeKubernetes]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def secret(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a secret that somebody has made."""
        return self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"]


class _Handler(BaseHTTPRequestHandler):
    objects: Objects
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlparse(self.path).path.rstrip("/")
        found = _discovery(path) or self.objects.get(path)
        if found is None and path.rpartition("/")[2] in {name for group in _KINDS.values() for name in group}:
            found = self._list(path)
        self._answer(found)

    def do_POST(self) -> None:
        body = self._body()
        path = f"{urlparse(self.path).path}/{body['metadata']['name']}"
        if path in self.objects:
            self._answer({"kind": "Status", "reason": "AlreadyExists", "code": 409}, 409)
            return
        body["metadata"] |= {"uid": str(len(self.objects)), "resourceVersion": "1"}
        self.objects[path] = body
        self._answer(body, 201)

    def do_PUT(self) -> None:
        self.objects[urlparse(self.path).path] = body = self._body()
        self._answer(body)

    def do_PATCH(self) -> None:
        path = urlparse(self.path).path
        self.objects[path] = merged = _merge(self.objects[path], self._body())
        self._answer(merged)

    def do_DELETE(self) -> None:
        self._body()
        self._answer(self.objects.pop(urlparse(self.path).path, None))

    def _list(self, path: str) -> dict[str, Any]:
        selector = parse_qs(urlparse(self.path).query).get("labelSelector", [""])[0]
        wanted = [part.split("=") for part in selector.split(",") if part]
        items = [
            one
            for key, one in self.objects.items()
            if key.rpartition("/")[0] == path
            and all(one["metadata"].get("labels", {}).get(label) == text for label, text in wanted)
        ]
        resource = path.rpartition("/")[2]
        version, kind = next((group, names[resource]) for group, names in _KINDS.items() if resource in names)
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items}

    def _body(self) -> dict[str, Any]:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body: dict[str, Any] = json.loads(text or b"{}")
        return body

    def _answer(self, found: dict[str, Any] | None, status: int = 200) -> None:
        if found is None:
            found, status = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}, 404
        text = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _discovery(path: str) -> dict[str, Any] | None:
    if path == "/version":
        return {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = []
        for version in _KINDS:
            group, _, short = version.rpartition("/")
            if group:
                one = {"groupVersion": version, "version": short}
                groups.append({"name": group, "versions": [one], "preferredVersion": one})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version not in _KINDS:
        return None
    verbs = ["get", "list", "create", "update", "patch", "delete"]
    resources = [
        {"name": name, "singularName": "", "kind": kind, "namespaced": kind != "Namespace", "verbs": verbs}
        for name, kind in _KINDS[version].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    merged = dict(old)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
