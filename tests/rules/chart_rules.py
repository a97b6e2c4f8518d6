"""What must hold for every rendering of the chart. A rule takes the manifests and yields what is wrong, in words.

test_chart.py holds all renderings to all rules, test_chart_bites.py breaks each rule on purpose.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.rules import network_rules
from tests.support.chart import Document

Faults = Iterator[str]
Rule = Callable[[list[Document]], Faults]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet")
_VOLUMES = {"secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim"}


def workloads(documents: list[Document]) -> Iterator[Document]:
    """Yield what makes pods."""
    yield from (one for one in documents if one["kind"] in WORKLOADS)


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Yield name and pod specification of each workload."""
    for one in workloads(documents):
        yield f"{one['kind']}/{one['metadata']['name']}", one["spec"]["template"]["spec"]


def containers(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Yield every container, those that initialise included."""
    for name, pod in pods(documents):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}/{container['name']}", container


def pods_are_restricted(documents: list[Document]) -> Faults:
    """The restricted standard of pod security, for the pod."""
    for name, pod in pods(documents):
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{name}: may run as root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name}: no seccomp profile"
        for share in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(share):
                yield f"{name}: {share}"
        for volume in pod.get("volumes", []):
            if set(volume) - {"name"} - _VOLUMES:
                yield f"{name}: volume {volume['name']} is of a kind that is not allowed"


def containers_are_restricted(documents: list[Document]) -> Faults:
    """The restricted standard for containers, and a root that cannot be written."""
    for name, container in containers(documents):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged") not in (None, False):
            yield f"{name}: privileges"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: capabilities"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: root can be written"
        if context.get("runAsNonRoot") is not True:
            yield f"{name}: may run as root"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{name}: port of the host"


def tokens_are_not_mounted(documents: list[Document]) -> Faults:
    """No pod can speak to the API server, and none is told of its neighbours by the environment."""
    accounts = {one["metadata"]["name"]: one for one in documents if one["kind"] == "ServiceAccount"}
    for name, pod in pods(documents):
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{name}: token mounted"
        if pod.get("enableServiceLinks") is not False:
            yield f"{name}: service links"
        account = accounts.get(pod.get("serviceAccountName", ""))
        if account is None or account.get("automountServiceAccountToken") is not False:
            yield f"{name}: no account of its own without a token"
    if any(one["kind"] in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") for one in documents):
        yield "rights at the API server"


def resources_are_bounded(documents: list[Document]) -> Faults:
    """Every container asks for what it needs and is stopped at a limit."""
    for name, container in containers(documents):
        for side in ("requests", "limits"):
            if set(container.get("resources", {}).get(side, {})) != {"cpu", "memory"}:
                yield f"{name}: {side}"
    for name, pod in pods(documents):
        for volume in pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{name}: volume {volume['name']} has no limit"


def processes_are_probed(documents: list[Document]) -> Faults:
    """The first container of each workload says whether it lives and whether it is ready; a stop has time to drain."""
    for name, pod in pods(documents):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe not in pod["containers"][0]:
                yield f"{name}: no {probe}"
        if pod.get("terminationGracePeriodSeconds", 30) <= 30:
            yield f"{name}: no time to drain"


def images_are_pinned(documents: list[Document]) -> Faults:
    """An image is named with a version."""
    for name, container in containers(documents):
        image = container["image"]
        if "@sha256:" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest")):
            yield f"{name}: image without a version"


def secrets_are_files(documents: list[Document]) -> Faults:
    """No secret stands in an environment, an argument or a ConfigMap; files of secrets are not for everybody."""
    for name, container in containers(documents):
        if "envFrom" in container:
            yield f"{name}: envFrom"
        for entry in container.get("env", []):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                yield f"{name}: {entry['name']} is a secret in the environment"
            if re.search("(PASSWORD|SECRET|TOKEN|KEK|_KEY|URI)$", entry["name"]):
                yield f"{name}: {entry['name']} looks like a secret in the environment"
    for name, pod in pods(documents):
        for volume in pod.get("volumes", []):
            source = volume.get("secret") or volume.get("projected")
            if source and source.get("defaultMode") != 0o440:
                yield f"{name}: volume {volume['name']} can be read by everybody"
    yield from _leaks(documents)


def _leaks(documents: list[Document]) -> Faults:
    secret = {
        value
        for one in documents
        if one["kind"] == "Secret"
        for encoded in one.get("data", {}).values()
        for value in (encoded, base64.b64decode(encoded).decode(errors="replace").strip())
    }
    for one in documents:
        if one["kind"] != "Secret" and any(text and text in secret for text in _texts(one)):
            yield f"{one['kind']}/{one['metadata']['name']}: repeats a secret"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield from (value, *value.split())


def pods_are_spread(documents: list[Document]) -> Faults:
    """Replicas stand apart by zone and node, and are not all taken away at once."""
    budgets = [one["spec"] for one in documents if one["kind"] == "PodDisruptionBudget"]
    for one in workloads(documents):
        name = one["metadata"]["name"]
        selector = one["spec"]["selector"]["matchLabels"]
        spread = one["spec"]["template"]["spec"].get("topologySpreadConstraints", [])
        if {entry["topologyKey"] for entry in spread} != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
            yield f"{name}: not spread"
        if any(entry["labelSelector"]["matchLabels"] != selector for entry in spread):
            yield f"{name}: spread by other labels"
        mine = [budget for budget in budgets if budget["selector"]["matchLabels"] == selector]
        if len(mine) != 1 or mine[0].get("maxUnavailable") != 1:
            yield f"{name}: no disruption budget"


def services_scale(documents: list[Document]) -> Faults:
    """A Deployment has at least two replicas, by an autoscaler or fixed; one, where one pod alone can have a volume."""
    scalers = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]
        for one in documents
        if one["kind"] == "HorizontalPodAutoscaler"
    }
    for one in documents:
        if one["kind"] == "Deployment":
            name = one["metadata"]["name"]
            scaler = scalers.pop(name, None)
            least = scaler["minReplicas"] if scaler else one["spec"].get("replicas", 0)
            least += one["spec"]["strategy"]["type"] == "Recreate"
            if least < 2 or (scaler and "replicas" in one["spec"]):
                yield f"{name}: replicas"
    if scalers:
        yield f"autoscalers of nothing: {sorted(scalers)}"


def every_mount_has_its_source(documents: list[Document]) -> Faults:
    """What a pod mounts and is told to read exists: volumes, and secrets unless named by whoever installs it."""
    for name, pod in pods(documents):
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | {"data"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            mounts = container.get("volumeMounts", [])
            if {mount["name"] for mount in mounts} - volumes:
                yield f"{name}: mounts a volume that is not there"
            for entry in container.get("env", []):
                path = entry.get("value") or ""
                if entry["name"].endswith(("_FILE", "_DIR")) and not any(
                    path == mount["mountPath"] or path.startswith(mount["mountPath"] + "/") for mount in mounts
                ):
                    yield f"{name}: {entry['name']} is not mounted"


RULES: list[Rule] = [
    pods_are_restricted,
    containers_are_restricted,
    tokens_are_not_mounted,
    resources_are_bounded,
    processes_are_probed,
    images_are_pinned,
    secrets_are_files,
    pods_are_spread,
    services_scale,
    every_mount_has_its_source,
    network_rules.everything_is_denied_first,
    network_rules.policies_name_their_peers,
    network_rules.calls_are_what_the_table_says,
    network_rules.nothing_else_goes_out,
    network_rules.only_edges_are_open,
    network_rules.watchers_find_everyone,
    network_rules.visitors_come_to_their_doors,
]
