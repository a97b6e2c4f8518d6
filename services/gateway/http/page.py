"""The page: files that the build made, held in memory, compressed once.

Every file under /assets has a name that changes with its content and may be kept for ever; all others are asked for
each time, which costs an answer without a body while they have not changed (ETag, RFC 9110). A path that is not a
file and not the API's gets the page's first file: with 200 where the page has a view for it, and otherwise with 404,
since the page has nothing for it but to say so.

Compressible files are held compressed alone and unpacked for the few clients that do not take gzip. Nothing else of
the gateway is ever compressed: an answer that mixes a secret with what a stranger chose would tell it by its length
(BREACH). Ranges are not served (RFC 9110, 14.2 lets a server ignore them): the largest file is smaller than a
photograph.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from libs.runtime.settings import SettingsError

_FOR_EVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"
# The first pieces of the paths that the page has views for (web/src/app.tsx).
VIEWS = frozenset(
    {"", "sign-in", "sign-up", "recover", "public", "leaving", "mail", "write", "contacts", "sending", "settings"}
)
_MOST_BYTES = 32 * 1024 * 1024
_LEVEL = 9
# Written down, because the system's table differs from machine to machine, and nosniff makes a wrong type fatal.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_PACKED_TYPES = (".css", ".html", ".js", ".json", ".mjs", ".svg", ".txt", ".wasm", ".webmanifest")


@dataclass(frozen=True)
class _File:
    """One file: its content, packed where that is worth while, and what is said of it."""

    content: bytes
    packed: bool
    tag: str
    kind: str
    caching: str

    def answer(self, headers: Headers, status: int) -> Response:
        """Return the answer to a request with `headers`; only what was found can be known already."""
        as_packed = self.packed and takes_gzip(headers.get("accept-encoding", ""))
        tag = f'"{self.tag}-gzip"' if as_packed else f'"{self.tag}"'
        said = {"ETag": tag, "Cache-Control": self.caching}
        if self.packed:
            said["Vary"] = "Accept-Encoding"
        if status == 200 and is_known(headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=said)
        said["Content-Type"] = self.kind
        if as_packed:
            said["Content-Encoding"] = "gzip"
        content = self.content if as_packed or not self.packed else gzip.decompress(self.content)
        return Response(content, status, headers=said)


class Page:
    """Serves the files of one directory, as they were at the start."""

    def __init__(self, directory: Path) -> None:
        """Read them. Raises SettingsError where they are more than a page can be; no files, no page."""
        paths = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        if sum(path.stat().st_size for path in paths) > _MOST_BYTES:
            raise SettingsError([f"SEALPOST_WEB_DIR: holds more than {_MOST_BYTES} bytes, which is not a page"])
        self._files = {f"/{path.relative_to(directory).as_posix()}": _read(path, directory) for path in paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what no route of the API has taken."""
        await self.serve(scope["path"], scope, receive, send)

    async def serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with what is at `path`."""
        found, status = self._find(path)
        if found is None:
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        await found.answer(Headers(scope=scope), status)(scope, receive, send)

    def _find(self, path: str) -> tuple[_File | None, int]:
        if path in self._files:
            return self._files[path], 200
        first, _, rest = path.removeprefix("/").partition("/")
        last = rest.rpartition("/")[2] or first
        # The page's own paths are words and addresses; what looks like a file is a file that is missing.
        if first in ("v1", "assets", ".well-known") or ("." in last and "@" not in last):
            return None, 404
        return self._files.get("/index.html"), 200 if first in VIEWS else 404


def _read(path: Path, directory: Path) -> _File:
    content = path.read_bytes()
    suffix = PurePosixPath(path.name).suffix
    packed = gzip.compress(content, _LEVEL, mtime=0) if suffix in _PACKED_TYPES else content
    worth = len(packed) < len(content) * 0.9
    return _File(
        content=packed if worth else content,
        packed=worth,
        tag=hashlib.sha256(content).hexdigest()[:20],
        kind=_TYPES.get(suffix, "application/octet-stream"),
        caching=_FOR_EVER if path.relative_to(directory).parts[0] == "assets" else _ASK,
    )


def takes_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding field (RFC 9110, 12.5.3) takes gzip."""
    weights = {}
    for part in accepted.lower().split(",")[:32]:
        name, _, parameter = part.partition(";")
        weights[name.strip()] = parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def is_known(known: str, tag: str) -> bool:
    """Tell whether an If-None-Match field (RFC 9110, 13.1.2) names `tag`; compared weakly, as it says."""
    return known.strip() == "*" or any(one.strip().removeprefix("W/") == tag for one in known.split(",")[:32])
