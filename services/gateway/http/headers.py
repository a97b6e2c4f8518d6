"""What every answer carries, whoever makes it: the application, or the connection that refuses a request.

The content security policy has no exceptions. Two answers have policies of their own: the worker that derives keys
compiles WebAssembly, and a worker's policy is that of its own response, so the page's stays strict; the page of
unsubscription, which has one form and no script, brings a stricter one. `sealpost` and `dompurify` are the names of the
page's Trusted Types policies.
"""

from __future__ import annotations

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "manifest-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types sealpost dompurify",
    )
)
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"
WORKER_PREFIX = "/assets/argon2-"
_HSTS = "max-age=63072000; includeSubDomains"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
_CORP = (b"cross-origin-resource-policy", b"same-origin")
_FRESH = (b"cache-control", b"no-store")
_POLICY = b"content-security-policy"

Raw = list[tuple[bytes, bytes]]


class SecurityHeaders:
    """The headers of this installation, ready to be sent."""

    def __init__(self, *, https: bool) -> None:
        """`https`: browsers reach us by HTTPS only, and are told so for two years."""
        always = dict(_ALWAYS)
        if https:
            always["Strict-Transport-Security"] = _HSTS
        self._page = _raw(always | {"Content-Security-Policy": CONTENT_SECURITY_POLICY})
        self._worker = _raw(always | {"Content-Security-Policy": WORKER_POLICY})

    def added_to(self, path: str, headers: Raw) -> Raw:
        """Return the headers of an answer for `path`, completed; no answer may be kept unless it says so itself."""
        present = {name for name, _ in headers}
        ours = self._worker if path.startswith(WORKER_PREFIX) else self._page
        merged = headers + (ours if _POLICY not in present else [one for one in ours if one[0] != _POLICY])
        if _CORP[0] not in present:
            merged.append(_CORP)
        if _FRESH[0] not in present:
            merged.append(_FRESH)
        return merged


def _raw(headers: dict[str, str]) -> Raw:
    return [(name.lower().encode(), text.encode()) for name, text in headers.items()]
