"""The description of the API: well-formed, complete, and true as far as the routes tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from services.gateway.http.openapi import api_routes
from tests.unit.gateway.fakes import Gateway

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
PROBLEM = "application/problem+json"


@pytest.fixture
async def document(site: Gateway) -> dict[str, Any]:
    """The description, as it is served."""
    answer = await site.client.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPI.model_validate(document)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) > 30
    assert all(operation["description"] for _, _, operation in operations(document))


async def test_every_reference_leads_somewhere_and_every_schema_is_used(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    used = set(re.findall(r'"\$ref": "#/components/schemas/([A-Za-z]+)"', text))
    assert used == set(document["components"]["schemas"])
    assert set(re.findall(r'"\$ref": "(?!#/components/schemas/)[^"]*"', text)) == set()


async def test_errors_are_problems_and_pauses_are_told(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        statuses = {int(status) for status in operation["responses"]}
        assert {429, 500, 503} <= statuses, path
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                followed = path in ("/m/{token}", "/erasure/{token}") and status == "404"
                people = {"text/html"} if followed else set()
                assert set(response["content"]) == {PROBLEM} | people, (path, status)
            if status in ("429", "503"):
                assert response["headers"]["Retry-After"]["required"] is True
        if "requestBody" in operation:
            assert {400, 403, 408, 413, 422} <= statuses, path
        if method not in ("GET", "HEAD"):
            assert 403 in statuses, path
        if operation["security"]:
            # Routes of a role are not there for whoever does not hold it.
            assert (404 if "For holders of the role" in operation["description"] else 401) in statuses, path
        if "{" in path:
            assert 404 in statuses, path


async def test_who_may_call_is_said(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert (schemes["session"]["in"], schemes["session"]["name"]) == ("cookie", "__Host-session")
    assert (schemes["apiKey"]["type"], schemes["apiKey"]["scheme"]) == ("http", "bearer")
    allowed = {
        f"{method} {path}": [name for entry in operation["security"] for name in entry]
        for method, path, operation in operations(document)
    }
    assert allowed["GET /v1/messages"] == ["session", "apiKey"]
    assert allowed["GET /v1/credentials"] == ["session"]
    assert allowed["GET /v1/public/{address}/messages"] == []
    scopes = {operation["operationId"]: operation["description"] for _, _, operation in operations(document)}
    assert "`mail:read`" in scopes["list_messages"] and "`mail:write`" in scopes["delete_messages"]


async def test_bytes_are_described_as_bytes(document: dict[str, Any]) -> None:
    paths, schemas = document["paths"], document["components"]["schemas"]
    assert paths["/v1/messages/{message_id}/body"]["get"]["responses"]["200"]["content"] == {
        "application/octet-stream": {"schema": {}}
    }
    assert list(paths["/v1/events"]["get"]["responses"]["200"]["content"]) == ["text/event-stream"]
    assert schemas["Message"]["properties"]["envelope"]["contentEncoding"] == "base64"
    key = schemas["SignInIn"]["properties"]["authentication_key"]
    assert (key["minLength"], key["maxLength"]) == (44, 44)


def test_it_lists_what_the_architecture_lists(site: Gateway) -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8").partition("## HTTP API")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")][1:]
    listed: set[tuple[str, str]] = set()
    for row in rows:
        methods: list[str] = []
        for word in re.findall(r"[A-Z]{3,6}|`[^`]+`", row):
            if not word.startswith("`"):
                methods.append(word)
            elif word.startswith("`/"):
                listed |= {(method, re.sub(r"\?.*", "", word.strip("`"))) for method in methods}
                if not row.partition(word)[2].lstrip().startswith(", `"):
                    methods = []
    served = {
        (method, route.path_format) for route in api_routes(site.app.app.routes) for method in route.methods or ()
    }
    served = {(method, re.sub(r"\{(message_id|folder_id|credential_id)\}", "{id}", path)) for method, path in served}
    directory = {entry for entry in served if entry[1].startswith("/.well-known/")}
    assert served - directory - listed == set()
    ours = {entry for entry in listed if entry[1].startswith("/v1/")}
    assert ours - served == set()
