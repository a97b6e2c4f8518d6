"""The trace travels through headers, costs nothing when nobody collects it, and says no more than a log line."""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures
from threading import Event

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from libs.telemetry import traces

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CANARY = "ada@example.org"


def test_the_context_passes_through_a_service_that_exports_nothing() -> None:
    assert traces.inject() == {}
    assert traces.current_id() is None
    with traces.within(traces.extract({"traceparent": PARENT, "tracestate": "a=b"})):
        assert traces.inject() == {"traceparent": PARENT, "tracestate": "a=b"}
        assert traces.current_id() == "0af7651916cd43dd8448eb211c80319c"
        with traces.span("inner", count=3):
            assert traces.inject()["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert traces.inject() == {}


@pytest.mark.parametrize(
    "headers", [{}, {"traceparent": "nonsense"}, {"traceparent": PARENT * 100}, {"traceparent": b"\xff"}, {"x": "y"}]
)
def test_useless_headers_carry_nothing(headers: dict[str, object]) -> None:
    with traces.within(traces.extract(headers)):
        assert traces.current_id() is None


def test_fields_are_those_of_the_log() -> None:
    with pytest.raises(ValueError, match="address") as caught, traces.span("x", address=CANARY):
        pytest.fail("a span with an address")
    assert CANARY not in str(caught.value)


@pytest.mark.usefixtures("lenient")
def test_in_a_service_wrong_fields_are_left_out() -> None:
    with traces.span("x", address=CANARY, count=1):
        assert traces.inject() == {}


def test_without_an_endpoint_nothing_is_loaded() -> None:
    program = (
        "import sys; from libs.telemetry import traces; traces.setup('crypto', '')();"
        "assert not [m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', 'grpc'))]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what is exported to it."""

    def __init__(self) -> None:
        self.requests: list[trace_service_pb2.ExportTraceServiceRequest] = []
        self.received = Event()

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.requests.append(request)
        self.received.set()
        return trace_service_pb2.ExportTraceServiceResponse()


EXPORTER = f"""
import sys
from libs.telemetry import traces
flush = traces.setup("crypto", sys.argv[1])
with traces.within(traces.extract({{"traceparent": "{PARENT}"}})):
    try:
        with traces.span("seal", count=3):
            raise ValueError("{CANARY}")
    except ValueError:
        pass
flush()
"""


def test_spans_are_exported_without_the_text_of_exceptions() -> None:
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        # In a process of its own: a tracer provider is set once per process.
        subprocess.run([sys.executable, "-c", EXPORTER, f"http://127.0.0.1:{port}"], check=True, timeout=60)
    finally:
        server.stop(0).wait()
    (request,) = collector.requests
    (resource,) = request.resource_spans
    assert [(item.key, item.value.string_value) for item in resource.resource.attributes] == [
        ("service.name", "sealpost-crypto")
    ]
    (span,) = resource.scope_spans[0].spans
    attributes = {item.key: item.value for item in span.attributes}
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert attributes["error"].string_value == "ValueError"
    assert attributes["count"].int_value == 3
    assert len(span.events) == 0
    assert CANARY.encode() not in request.SerializeToString()


def test_no_provider_is_left_behind() -> None:
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
