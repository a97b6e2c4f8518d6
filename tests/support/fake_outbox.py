"""The routes of the fake gateway (fake_gateway.py) about mail out: recipients, the outbox, sealed objects.

Members are those who signed up; `example.org` has no keys, and whoever a test puts into `certificates` has one in his
domain's Web Key Directory. What is sent is kept in `sent`; `refuse` makes the next requests to an address fail.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from tests.support.fake_routes import problem, who

if TYPE_CHECKING:
    from tests.support.fake_gateway import FakeGateway


@dataclasses.dataclass
class Outbox:
    """What was sent to the world, what is kept sealed, and what is to go wrong."""

    # Certificates (binary) of people elsewhere, by address.
    certificates: dict[str, bytes] = dataclasses.field(default_factory=dict)
    # (recipients, mail, idempotency key) of each accepted POST /v1/send.
    sent: list[tuple[list[str], bytes, str]] = dataclasses.field(default_factory=list)
    # Addresses at which the next so many requests fail.
    refuse: dict[str, int] = dataclasses.field(default_factory=dict)
    # (owner, name) to (sealed, version).
    objects: dict[tuple[str, str], tuple[str, int]] = dataclasses.field(default_factory=dict)

    def refused(self, addresses: list[str]) -> bool:
        """Count down `refuse` for these addresses; return whether one of them is to fail."""
        for address in addresses:
            if self.refuse.get(address, 0) > 0:
                self.refuse[address] -= 1
                return True
        return False


def unframe(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return header and body of a frame."""
    length = int.from_bytes(data[:4], "big")
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def add_outbox_routes(app: FastAPI, fake: FakeGateway) -> None:
    """Add recipients, outbox and objects."""
    _add_object_routes(app, fake)

    @app.post("/v1/recipients")
    async def recipients(request: Request) -> Any:
        return {"recipients": [_recipient(fake, address) for address in (await request.json())["addresses"]]}

    @app.post("/v1/outbox/sealed")
    async def sealed(request: Request) -> Response:
        header, body = unframe(await request.body())
        if fake.outbox.refused([header["to"]]):
            return problem(503, "unavailable")
        fake.keep(header["to"], header["id"], header["envelope"], body)
        return Response(status_code=204)

    @app.post("/v1/outbox/own")
    async def own(request: Request) -> Response:
        header, body = unframe(await request.body())
        address = who(fake, request) or ""
        if fake.outbox.refused([address]):
            return problem(503, "unavailable")
        fake.keep(address, header["id"], header["envelope"], body, header["folder"], {"seen"})
        fake.boxes[address] = [m for m in fake.boxes[address] if m.id != header.get("replaces")]
        return Response(status_code=204)

    @app.post("/v1/send")
    async def send(request: Request) -> Response:
        header, body = unframe(await request.body())
        if fake.outbox.refused(header["recipients"]):
            return problem(503, "unavailable")
        key = request.headers["idempotency-key"]
        if all(key != known for _, _, known in fake.outbox.sent):
            fake.outbox.sent.append((header["recipients"], body, key))
        return JSONResponse({"id": "0" * 32, "message_id": "<x@sealpost.test>"}, 202)


def _add_object_routes(app: FastAPI, fake: FakeGateway) -> None:
    @app.get("/v1/objects/{name}")
    async def get_object(request: Request, name: str) -> Any:
        sealed, version = fake.outbox.objects.get((who(fake, request) or "", name), ("", 0))
        return {"sealed": sealed, "version": version}

    @app.put("/v1/objects/{name}")
    async def put_object(request: Request, name: str) -> Any:
        body, key = await request.json(), (who(fake, request) or "", name)
        version = fake.outbox.objects.get(key, ("", 0))[1]
        if body["version"] != version:
            return problem(409, "version")
        fake.outbox.objects[key] = (body["sealed"], version + 1)
        return {"sealed": body["sealed"], "version": version + 1}


def _recipient(fake: FakeGateway, address: str) -> dict[str, Any]:
    found: dict[str, Any] = {"address": address, "kind": "open", "certificate": None, "fingerprint": None}
    account = fake.accounts.get(address.lower())
    if account:
        keys = {"certificate": account["certificate"], "fingerprint": account["fingerprint"]}
        return found | {"kind": "member"} | keys
    if address in fake.outbox.certificates:
        return found | {"kind": "wkd", "certificate": base64.b64encode(fake.outbox.certificates[address]).decode()}
    if address.endswith("@" + fake.member_domain):
        return found | {"kind": "unknown"}
    return found | ({"kind": "public"} if address.endswith("@" + fake.public_domain) else {})


def received_at(message_id: str) -> datetime.datetime:
    """Return the time in a message id."""
    return datetime.datetime.fromtimestamp(int(message_id[:10], 16), datetime.UTC)
