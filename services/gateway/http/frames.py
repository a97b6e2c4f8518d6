"""Frames: a small JSON header and a large body in one request, read as a stream (docs/architecture.md, "Frames").

A mail is too large to be a text in JSON, and what belongs to it (recipients, an envelope) too large for fields of HTTP.
The header is whole before anything is decided; the body is then taken in pieces as somebody wants them, and while
nobody does the connection is not read. Nothing of either is ever on disk here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from libs.runtime.errors import InvalidError
from services.gateway.http.admission import Admission, Held
from services.gateway.http.caller import limits_of
from services.gateway.http.guard import CLIENT, ClientGoneError

MEDIA_TYPE = "application/vnd.sealpost.frame"
MAX_HEADER_BYTES = 64 * 1024
_LENGTH_BYTES = 4

_Model = TypeVar("_Model", bound=BaseModel)


class Frame:
    """A frame whose header is there; its body can be taken once."""

    def __init__(self, header: bytes, begun: bytes, rest: AsyncIterator[bytes], held: Held) -> None:
        """Made by `reading`."""
        self._header = header
        self._begun = begun
        self._rest = rest
        self.held = held

    def header(self, model: type[_Model]) -> _Model:
        """Return the header as `model`. Raises RequestValidationError as a JSON body would."""
        return validated(model, self._header)

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body piece by piece. Raises ClientGoneError; HTTPException where it is too large or too slow."""
        if self._begun:
            yield self._begun
        async for piece in self._rest:
            yield piece


@asynccontextmanager
async def reading(request: Request, weight: int) -> AsyncIterator[Frame]:
    """Give the frame that `request` carries, its header read; `weight` bytes of memory are held for the block.

    Raises: InvalidError("media_type" | "frame"), ExhaustedError and UnavailableError("busy") where too many are read.
    """
    if media_type_of(request) != MEDIA_TYPE:
        raise InvalidError("media_type")
    async with admitted(request, weight) as held, aclosing(pieces(request)) as stream:
        header, begun = await _read_header(stream)
        yield Frame(header, begun, stream, held)


@asynccontextmanager
async def admitted(request: Request, weight: int) -> AsyncIterator[Held]:
    """Let a client bring a mail that takes `weight` bytes of memory for the block; what is left waits its turn.

    Raises: ExhaustedError where the client brings too many at once, UnavailableError("busy").
    """
    uploads: Admission = request.app.state.uploads
    with limits_of(request).uploads.hold(request.scope[CLIENT]):
        async with uploads.hold(weight) as held:
            yield held


async def pieces(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the body of a request as it comes. Raises ClientGoneError; HTTPException where too large or too slow."""
    try:
        async for piece in request.stream():
            if piece:
                yield piece
    except ClientDisconnect:
        raise ClientGoneError from None


def media_type_of(request: Request) -> str:
    """Return the media type of the body, without its parameters, lower-case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def validated(model: type[_Model], data: bytes) -> _Model:
    """Return the JSON `data` as `model`. Raises RequestValidationError as a JSON body would."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None


def described(model: type[BaseModel], body: str) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that takes a frame with a header like `model`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {
        "requestBody": {
            "required": True,
            "description": (
                "A frame: four bytes, big-endian, the length of the header; the header, JSON of at most 64 KiB, as the "
                f"schema has it; then, to the end, {body}."
            ),
            "content": {MEDIA_TYPE: {"schema": {"title": schema.pop("title", "Frame"), "x-sealpost-header": schema}}},
        }
    }


async def _read_header(stream: AsyncIterator[bytes]) -> tuple[bytes, bytes]:
    """Return the header, and what has come of the body with it."""
    buffer, wanted = bytearray(), _LENGTH_BYTES
    async for piece in stream:
        buffer += piece
        if len(buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(buffer[:_LENGTH_BYTES], "big")
            if not 0 < length <= MAX_HEADER_BYTES:
                raise InvalidError("frame")
            wanted = _LENGTH_BYTES + length
            if len(buffer) >= wanted:
                return bytes(buffer[_LENGTH_BYTES:wanted]), bytes(buffer[wanted:])
    raise InvalidError("frame")
