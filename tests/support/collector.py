"""A collector of traces (OTLP over gRPC, as OpenTelemetry's own) that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from libs.telemetry.fields import FIELDS

_RESOURCE = {"service.name"}
_VALUES = {"string_value", "int_value", "double_value", "bool_value"}


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """What it was sent."""

    endpoint: str = ""
    requests: list[trace_service_pb2.ExportTraceServiceRequest] = field(default_factory=list)

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep it."""
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def spans(self) -> list[Span]:
        """Return all spans."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def services(self) -> set[str]:
        """Return who has sent something."""
        return {
            attribute.value.string_value.removeprefix("sealpost-")
            for request in self.requests
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
        }

    def faults(self) -> set[str]:
        """Return what says more than the closed list allows, by name; events always do."""
        faults = set()
        for span in self.spans():
            faults |= {f"{span.name}: an event" for _ in span.events}
            faults |= {f"{span.name}: {span.status.message}"} if span.status.message else set()
            for attribute in span.attributes:
                kind = attribute.value.WhichOneof("value") or ""
                check = FIELDS.get(attribute.key)
                if kind not in _VALUES or check is None or not check(getattr(attribute.value, kind)):
                    faults.add(f"{span.name}: {attribute.key}")
        for request in self.requests:
            for resource in request.resource_spans:
                faults |= {f"resource: {one.key}" for one in resource.resource.attributes if one.key not in _RESOURCE}
        return faults


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run one for the time of the block."""
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(1).wait()
