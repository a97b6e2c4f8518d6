"""Rules of the chart about who reaches whom: computed from the NetworkPolicies, compared with the table of calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.chart import Document, values

_COMPONENT = "app.kubernetes.io/component"
_PARTS = {"nats": 4222, "mongodb": 27017}
_GRPC = 7000
# What an open road to the internet leaves out (RFC 1918, 3927, 6598, 4193, 4291), by whether it is of IPv6.
_PRIVATE = {
    False: {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"},
    True: {"fc00::/7", "fe80::/10"},
}


def everything_is_denied_first(documents: list[Document]) -> Iterator[str]:
    """One policy selects every pod and allows nothing, in or out; every workload has one that allows what it needs."""
    templates = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in documents
        if one["kind"] in ("Deployment", "StatefulSet", "Job")
    }
    closed = [
        spec
        for spec in _policies(documents)
        if sorted(spec["policyTypes"]) == ["Egress", "Ingress"] and not spec.get("ingress") and not spec.get("egress")
    ]
    for name, labels in templates.items():
        if not any(_selects(spec["podSelector"], labels) for spec in closed):
            yield f"{name}: not denied by default"
        own = {"matchLabels": {key: labels[key] for key in labels if key in _IDENTITY}}
        if not any(spec["podSelector"] == own for spec in _policies(documents)):
            yield f"{name}: no policy of its own"


_IDENTITY = ("app.kubernetes.io/name", "app.kubernetes.io/instance", _COMPONENT)


def policies_name_their_peers(documents: list[Document]) -> Iterator[str]:
    """A rule without peers or without ports would mean everybody or everything."""
    for one in documents:
        if one["kind"] != "NetworkPolicy":
            continue
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for rule in one["spec"].get(direction) or []:
                if not rule.get(side) or not rule.get("ports"):
                    yield f"{one['metadata']['name']}: {direction} for everybody"
                if any(not peer or peer.get("podSelector") == {} for peer in rule.get(side) or []):
                    yield f"{one['metadata']['name']}: {direction} for any pod"


def calls_are_what_the_table_says(documents: list[Document]) -> Iterator[str]:
    """Of the services, those may connect that the table of calls names: seen from both ends, and told to both."""
    table = {(name, callee) for name, one in values()["services"].items() for callee in one["calls"]}
    if (out := set(_edges(documents, "egress", _GRPC))) != table:
        yield f"egress differs from the table: {sorted(out ^ table)}"
    if (inward := {(b, a) for a, b in _edges(documents, "ingress", _GRPC)}) != table:
        yield f"ingress differs from the table: {sorted(inward ^ table)}"
    told = set()
    for one in documents:
        if one["kind"] == "Deployment":
            name = one["metadata"]["labels"][_COMPONENT]
            env = {entry["name"]: entry.get("value") for entry in _container(one)["env"]}
            peers = dict(pair.split("=") for pair in env["SEALPOST_PEERS"].split(",") if pair)
            told |= {(name, peer) for peer in peers}
            callers = {caller for caller in env["SEALPOST_CALLERS"].split(",") if caller}
            if callers != {caller for caller, callee in table if callee == name}:
                yield f"{name}: is told other callers than the table says"
            for peer, address in peers.items():
                if not address.startswith(f"sealpost-{peer}.") or not address.endswith(f":{_GRPC}"):
                    yield f"{name}: finds {peer} at {address}"
    if told != table:
        yield f"peers differ from the table: {sorted(told ^ table)}"


def nothing_else_goes_out(documents: list[Document]) -> Iterator[str]:
    """Beside calls there is the cluster's DNS, store and NATS for whom has them, metrics for whom watches, and doors.

    The internet is reached by whom the table lets out, at its ports, and never anything private by that road.
    """
    services = values()["services"]
    for name, spec in _by_component(documents):
        service = services.get(name)
        allowed: set[int] = {53}
        if service is None:
            allowed |= {6222} if name == "nats" else {27017}
        else:
            allowed |= {_GRPC} if service["calls"] else set()
            allowed |= {27017} if service["store"] else set()
            allowed |= {4222} if _hears(service) else set()
            allowed |= {9090} if service.get("watches") else set()
            allowed |= {port for _, port in doors(service)}
            allowed |= {4317}
        outside = {port for rule in (service or {}).get("egress", []) for port in rule["ports"]}
        for rule in spec.get("egress") or []:
            ports = {port["port"] for port in rule.get("ports", [])}
            if not ports or ports - allowed - outside:
                yield f"{name}: reaches port {sorted(ports - allowed)}"
            for peer in rule.get("to") or []:
                block = peer.get("ipBlock", {})
                if block.get("cidr", "").endswith("/0") and not (
                    ports <= outside and _PRIVATE[":" in block["cidr"]] <= set(block.get("except", []))
                ):
                    yield f"{name}: reaches the internet"


def doors(service: Document) -> set[tuple[str, int]]:
    """Return the edges that a service uses as everybody does: whose they are, and their ports."""
    found = set()
    for door in service.get("doors", []):
        edge = values()["services"][door["service"]]["edge"]
        ports = {edge["name"]: edge["port"]} | {one["name"]: one["port"] for one in edge.get("more", [])}
        found.add((door["service"], ports[door["port"]]))
    return found


def visitors_come_to_their_doors(documents: list[Document]) -> Iterator[str]:
    """Who uses an edge as everybody does may go there, is let in, and is told where it is."""
    for name, service in values()["services"].items():
        for callee, port in doors(service):
            if (name, callee) not in set(_edges(documents, "egress", port)):
                yield f"{name}: may not go to {callee} at {port}"
            if (callee, name) not in set(_edges(documents, "ingress", port)):
                yield f"{callee}: does not let {name} in at {port}"


def watchers_find_everyone(documents: list[Document]) -> Iterator[str]:
    """Who watches is told of every service's metrics, may go there, and is let in."""
    services = values()["services"]
    watchers = {name for name, service in services.items() if service.get("watches")}
    if not watchers:
        yield "nobody watches"
    policies = dict(_by_component(documents))
    found = {one["metadata"]["name"] for one in documents if one["kind"] == "Service"}
    for name in services:
        if not any(service.endswith(f"-{name}-metrics") for service in found):
            yield f"{name}: its metrics have no Service"
        rules = [rule for rule in policies[name]["ingress"] if {port["port"] for port in rule["ports"]} == {9090}]
        let_in = {
            peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            for rule in rules
            for peer in rule["from"]
            if "podSelector" in peer and "app.kubernetes.io/component" in peer["podSelector"].get("matchLabels", {})
        }
        if not watchers <= let_in:
            yield f"{name}: lets nobody read its metrics"


def only_edges_are_open(documents: list[Document]) -> Iterator[str]:
    """From outside of the installation only edges are reached, and metrics by whom may read them."""
    services = values()["services"]
    for name, spec in _by_component(documents):
        edge = (services.get(name) or {}).get("edge") or {}
        served = {edge.get("port"), *(one["port"] for one in edge.get("more", []))}
        for rule in spec.get("ingress") or []:
            for peer in rule.get("from") or []:
                ports = {port["port"] for port in rule["ports"]}
                if set(peer) != {"podSelector"} and ports - served - {9090}:
                    yield f"{name}: port {sorted(ports)} is open to others"
    for part, port in _PARTS.items():
        reached = {caller for component, caller in _edges(documents, "ingress", port) if component == part}
        wanted = {name for name, one in services.items() if _uses(one, part)} | ({part} if part == "mongodb" else set())
        if reached and reached != wanted:
            yield f"{part}: reached by {sorted(reached ^ wanted)}"


def _uses(service: Document, part: str) -> bool:
    if part == "mongodb":
        return bool(service["store"])
    return bool(_hears(service))


def _hears(service: Document) -> Any:
    return service["publishes"] or service["listens"] or service["consumes"] or service.get("facts")


def _policies(documents: list[Document]) -> list[Any]:
    return [one["spec"] for one in documents if one["kind"] == "NetworkPolicy"]


def _by_component(documents: list[Document]) -> Iterator[tuple[str, Any]]:
    for spec in _policies(documents):
        labels = spec["podSelector"].get("matchLabels", {})
        if _COMPONENT in labels:
            yield labels[_COMPONENT], spec


def _edges(documents: list[Document], direction: str, port: int) -> Iterator[tuple[str, str]]:
    """Yield (component of the policy, component of the peer) for every peer that `port` is open to."""
    for name, spec in _by_component(documents):
        for rule in spec.get(direction) or []:
            if any(entry["port"] == port for entry in rule.get("ports", [])):
                for peer in rule["from" if direction == "ingress" else "to"]:
                    labels = peer.get("podSelector", {}).get("matchLabels", {})
                    yield name, labels.get(_COMPONENT, "anybody")


def _selects(selector: Document, labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _container(deployment: Document) -> Document:
    container: Document = deployment["spec"]["template"]["spec"]["containers"][0]
    return container
