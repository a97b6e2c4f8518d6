"""Traces with the same closed list of fields as logs, and without a cost where nobody collects them.

Only the OpenTelemetry API is imported; its spans do nothing until `setup` is given an endpoint, and only then are the
SDK and the exporter loaded (25 MB). The context travels as W3C Trace Context, in gRPC metadata and in NATS headers,
even through a service that exports nothing. Exceptions are recorded by class name and place: their text stays here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.telemetry import faults, mode
from libs.telemetry.fields import FIELDS

_tracer = trace.get_tracer("sealpost")
_propagator = TraceContextTextMapPropagator()
_HEADERS = ("traceparent", "tracestate")
_MAX_HEADER = 512


def setup(service: str, otlp_endpoint: str) -> Callable[[], None]:
    """Export spans of `service` to a collector (gRPC, "http://host:4317" or "https://..."); "" exports none.

    Return what flushes and stops the exporter; it blocks for up to some seconds, so call it in a thread.
    """
    if not otlp_endpoint:
        return lambda: None
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=otlp_endpoint, insecure=otlp_endpoint.startswith("http://"), timeout=5)
    # Not Resource.create(): it would add the environment, the host and the command line.
    provider = TracerProvider(resource=Resource({"service.name": f"sealpost-{service}"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2048))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def span(
    name: str, parent: Context | None = None, /, **fields: str | int | float | bool
) -> AbstractContextManager[None]:
    """Trace the block as `name`, under `parent` (see extract) or the current span; fields as in logs."""
    if parent is None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        # Nobody collects: a span that does nothing would stand where the current one stands already.
        if mode.is_strict():
            _checked(fields)
        return nullcontext()
    return _span(name, parent, fields)


@contextmanager
def _span(name: str, parent: Context | None, fields: Mapping[str, str | int | float | bool]) -> Iterator[None]:
    with _tracer.start_as_current_span(
        name, parent, attributes=_checked(fields), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            if current.is_recording():
                current.set_attributes(_checked(dict(faults.describe(error))))
                current.set_status(trace.StatusCode.ERROR)
            raise


def inject() -> dict[str, str]:
    """Return the headers that carry the current context: `traceparent` and perhaps `tracestate`, or none."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def extract(headers: Mapping[str, Any]) -> Context:
    """Return the context that `headers` (keys in lower case) carry; the current one if they carry none of use."""
    carrier = {name: value for name in _HEADERS if _is_header(value := headers.get(name))}
    return _propagator.extract(carrier) if carrier else otel_context.get_current()


def current_id() -> str | None:
    """Return the id of the current trace, 32 hexadecimal digits, or None where there is none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def within(context: Context) -> Iterator[None]:
    """Run the block in `context`."""
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


def _is_header(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_HEADER


def _checked(fields: Mapping[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    kept = {}
    for field, value in fields.items():
        check = FIELDS.get(field)
        if check is not None and check(value):
            kept[field] = value
        elif mode.is_strict():
            raise ValueError(f"{field}: not a field of libs.telemetry.fields, or not of its shape")
    return kept
