"""Every rule of the chart, broken on purpose: a rule that cannot fail says nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.rules import chart_rules as rules
from tests.rules import network_rules as network
from tests.support import chart

Break = Callable[[list[chart.Document]], Any]


def pod(documents: list[chart.Document], name: str = "sealpost-ingest") -> Any:
    kind = "StatefulSet" if name in ("sealpost-nats", "sealpost-mongodb") else "Deployment"
    return chart.find(documents, kind, name)["spec"]["template"]["spec"]


def container(documents: list[chart.Document], name: str = "sealpost-ingest") -> Any:
    return pod(documents, name)["containers"][0]


def policy(documents: list[chart.Document], name: str = "sealpost-ingest") -> Any:
    return chart.find(documents, "NetworkPolicy", name)["spec"]


def remove(documents: list[chart.Document], kind: str, name: str) -> None:
    documents.remove(chart.find(documents, kind, name))


def env(documents: list[chart.Document], name: str, key: str) -> Any:
    return next(entry for entry in container(documents, name)["env"] if entry["name"] == key)


def peer(component: str) -> chart.Document:
    return {"podSelector": {"matchLabels": {"app.kubernetes.io/component": component}}}


def port(number: int) -> list[chart.Document]:
    return [{"port": number, "protocol": "TCP"}]


HTTPS_TO_THE_WORLD = {"ports": port(443), "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
STORE_WORLD = {"ports": port(27017), "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}


def open_road(documents: list[chart.Document]) -> Any:
    """The rule that lets mail out to the world."""
    return next(
        rule
        for rule in policy(documents, "sealpost-delivery")["egress"]
        if {"port": 25, "protocol": "TCP"} in rule["ports"]
    )


CASES: list[tuple[rules.Rule, Break]] = [
    (rules.pods_are_restricted, lambda m: pod(m)["securityContext"].pop("runAsNonRoot")),
    (rules.pods_are_restricted, lambda m: pod(m)["securityContext"].update(runAsUser=0)),
    (rules.pods_are_restricted, lambda m: pod(m)["securityContext"].pop("seccompProfile")),
    (rules.pods_are_restricted, lambda m: pod(m).update(hostNetwork=True)),
    (rules.pods_are_restricted, lambda m: pod(m, "sealpost-nats").update(hostPID=True)),
    (rules.pods_are_restricted, lambda m: pod(m)["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    (rules.containers_are_restricted, lambda m: container(m)["securityContext"].pop("readOnlyRootFilesystem")),
    (rules.containers_are_restricted, lambda m: container(m)["securityContext"].pop("allowPrivilegeEscalation")),
    (rules.containers_are_restricted, lambda m: container(m)["securityContext"].update(privileged=True)),
    (
        rules.containers_are_restricted,
        lambda m: container(m)["securityContext"]["capabilities"].update(add=["NET_RAW"]),
    ),
    (rules.containers_are_restricted, lambda m: container(m)["ports"][0].update(hostPort=25)),
    (
        rules.containers_are_restricted,
        lambda m: pod(m, "sealpost-mongodb")["initContainers"][0].pop("securityContext"),
    ),
    (rules.tokens_are_not_mounted, lambda m: pod(m).pop("automountServiceAccountToken")),
    (rules.tokens_are_not_mounted, lambda m: pod(m).pop("enableServiceLinks")),
    (rules.tokens_are_not_mounted, lambda m: pod(m).pop("serviceAccountName")),
    (
        rules.tokens_are_not_mounted,
        lambda m: chart.find(m, "ServiceAccount", "sealpost-ingest").pop("automountServiceAccountToken"),
    ),
    (rules.tokens_are_not_mounted, lambda m: m.append({"kind": "Role", "metadata": {"name": "x"}})),
    (rules.resources_are_bounded, lambda m: container(m)["resources"]["limits"].pop("memory")),
    (rules.resources_are_bounded, lambda m: container(m).pop("resources")),
    (rules.resources_are_bounded, lambda m: pod(m)["volumes"][-1]["emptyDir"].pop("sizeLimit")),
    (rules.processes_are_probed, lambda m: container(m).pop("readinessProbe")),
    (rules.processes_are_probed, lambda m: container(m, "sealpost-nats").pop("livenessProbe")),
    (rules.processes_are_probed, lambda m: pod(m).pop("terminationGracePeriodSeconds")),
    (rules.images_are_pinned, lambda m: container(m).update(image="sealpost/ingest")),
    (rules.images_are_pinned, lambda m: container(m).update(image="example.org:5000/ingest")),
    (rules.images_are_pinned, lambda m: container(m).update(image="sealpost/ingest:latest")),
    (rules.secrets_are_files, lambda m: container(m).update(envFrom=[{"secretRef": {"name": "x"}}])),
    (
        rules.secrets_are_files,
        lambda m: container(m)["env"].append({"name": "X", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}),
    ),
    (rules.secrets_are_files, lambda m: container(m)["env"].append({"name": "SEALPOST_KEK", "value": "00"})),
    (rules.secrets_are_files, lambda m: pod(m)["volumes"][0]["secret"].pop("defaultMode")),
    (
        rules.secrets_are_files,
        lambda m: chart.find(m, "ConfigMap", "sealpost-nats")["data"].update(
            x="password " + chart.find(m, "Secret", "sealpost-nats")["data"]["storage"]
        ),
    ),
    (rules.pods_are_spread, lambda m: pod(m)["topologySpreadConstraints"].pop()),
    (rules.pods_are_spread, lambda m: remove(m, "PodDisruptionBudget", "sealpost-ingest")),
    (
        rules.pods_are_spread,
        lambda m: chart.find(m, "PodDisruptionBudget", "sealpost-nats")["spec"].update(maxUnavailable=2),
    ),
    (rules.services_scale, lambda m: remove(m, "HorizontalPodAutoscaler", "sealpost-ingest")),
    (
        rules.services_scale,
        lambda m: chart.find(m, "HorizontalPodAutoscaler", "sealpost-ingest")["spec"].update(minReplicas=1),
    ),
    (rules.services_scale, lambda m: remove(m, "Deployment", "sealpost-ingest")),
    (rules.every_mount_has_its_source, lambda m: pod(m)["volumes"].pop()),
    (rules.every_mount_has_its_source, lambda m: container(m)["volumeMounts"].pop(0)),
    (network.everything_is_denied_first, lambda m: remove(m, "NetworkPolicy", "sealpost-default-deny")),
    (network.everything_is_denied_first, lambda m: policy(m, "sealpost-default-deny").update(policyTypes=["Ingress"])),
    (network.everything_is_denied_first, lambda m: policy(m, "sealpost-default-deny").update(egress=[{}])),
    (network.everything_is_denied_first, lambda m: remove(m, "NetworkPolicy", "sealpost-mongodb")),
    (network.policies_name_their_peers, lambda m: policy(m)["egress"][0].pop("to")),
    (network.policies_name_their_peers, lambda m: policy(m)["egress"][0].update(to=[])),
    (network.policies_name_their_peers, lambda m: policy(m)["ingress"][0].pop("ports")),
    (network.policies_name_their_peers, lambda m: policy(m)["egress"][0]["to"].append({"podSelector": {}})),
    (network.calls_are_what_the_table_says, lambda m: policy(m)["egress"][1]["to"].pop()),
    (
        network.calls_are_what_the_table_says,
        lambda m: policy(m, "sealpost-storage")["egress"].append({"ports": port(7000), "to": [peer("crypto")]}),
    ),
    (
        network.calls_are_what_the_table_says,
        lambda m: policy(m, "sealpost-crypto")["ingress"][0]["from"].append(peer("storage")),
    ),
    (
        network.calls_are_what_the_table_says,
        lambda m: env(m, "sealpost-crypto", "SEALPOST_CALLERS").update(value="gateway,ingest,storage"),
    ),
    (network.calls_are_what_the_table_says, lambda m: env(m, "sealpost-ingest", "SEALPOST_PEERS").update(value="")),
    (
        network.calls_are_what_the_table_says,
        lambda m: env(m, "sealpost-ingest", "SEALPOST_PEERS").update(
            value="accounts=sealpost-crypto.mail.svc:7000,crypto=sealpost-crypto.mail.svc:7000,storage=sealpost-storage.x:7000"
        ),
    ),
    (network.nothing_else_goes_out, lambda m: policy(m)["egress"].append(HTTPS_TO_THE_WORLD)),
    (network.nothing_else_goes_out, lambda m: policy(m, "sealpost-storage")["egress"].append(STORE_WORLD)),
    (
        network.nothing_else_goes_out,
        lambda m: policy(m)["egress"].append({"ports": port(27017), "to": [peer("mongodb")]}),
    ),
    (
        network.nothing_else_goes_out,
        lambda m: open_road(m)["to"][0]["ipBlock"]["except"].remove("10.0.0.0/8"),
    ),
    (network.nothing_else_goes_out, lambda m: open_road(m)["ports"].append({"port": 22, "protocol": "TCP"})),
    (
        network.visitors_come_to_their_doors,
        lambda m: policy(m, "sealpost-ingest")["ingress"][0]["from"].pop(),
    ),
    (
        network.visitors_come_to_their_doors,
        lambda m: policy(m, "sealpost-retention").update(egress=[]),
    ),
    (
        network.watchers_find_everyone,
        lambda m: m.remove(next(one for one in m if one["metadata"]["name"] == "sealpost-storage-metrics")),
    ),
    (
        network.only_edges_are_open,
        lambda m: policy(m, "sealpost-storage")["ingress"][0]["from"].append({"namespaceSelector": {}}),
    ),
    (
        network.only_edges_are_open,
        lambda m: policy(m, "sealpost-mongodb")["ingress"][0]["from"].append(peer("ingest")),
    ),
]


@pytest.mark.parametrize(
    ("rule", "harm"), CASES, ids=[f"{rule.__name__}-{number}" for number, (rule, _) in enumerate(CASES)]
)
def test_a_broken_rule_is_noticed(rule: rules.Rule, harm: Break) -> None:
    manifests = copy.deepcopy(chart.render())
    harm(manifests)
    assert list(rule(manifests)) != []


def test_every_rule_is_broken_here() -> None:
    assert {rule for rule, _ in CASES} == set(rules.RULES)
