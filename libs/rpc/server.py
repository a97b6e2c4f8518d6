"""The gRPC server of a service: mutual TLS with changing certificates, callers by name, deadlines, health, drain.

Certificates are looked at when a connection opens (`dynamic_ssl_server_credentials`): a new one is used from the next
connection on, open ones go on until their age ends them (libs.rpc.options). Health (grpc.health.v1) answers whoever
has a certificate of ours; everything else only the callers of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from libs.rpc.interceptors import Guard, Observer, Rule
from libs.rpc.observer import ServerObserver
from libs.rpc.options import SERVER_OPTIONS
from libs.rpc.tls import TlsFiles, TlsMaterial
from libs.runtime.errors import UnavailableError

# The stubs do not know that None means "no change".
_Fetch = Callable[[], grpc.ServerCertificateConfiguration]
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class Limits:
    """What one server takes on at most. More calls at once are told RESOURCE_EXHAUSTED ("rpc_limit")."""

    concurrent_calls: int = 1000
    options: tuple[tuple[str, int | str], ...] = ()


class RpcServer:
    """Serves servicers to the callers of a list. `add` everything, then `start`, at the end `stop`."""

    def __init__(
        self,
        address: str,
        tls: TlsFiles,
        callers: Collection[str],
        *,
        observer: Observer | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to listen on `address` ("host:port", port 0 picks one) for the services named in `callers`."""
        self._address = address
        self._tls = tls
        self._callers = frozenset(callers)
        self._guard = Guard(observer or ServerObserver())
        self._health: Any = vars(health)["aio"].HealthServicer()
        self._names: list[str] = []
        self._port = 0
        self._limits = limits or Limits()
        self._registrar = _Registrar(self._guard)
        self._server: grpc.aio.Server | None = None
        self._register(
            health_pb2_grpc.add_HealthServicer_to_server, self._health, lambda path: Rule(None, path.endswith("/Check"))
        )

    @property
    def port(self) -> int:
        """The port listened on; 0 before `start`."""
        return self._port

    def add(self, register: Callable[[Any, Any], None], servicer: object, name: str) -> None:
        """Serve `servicer` by the generated `add_…Servicer_to_server`; `name` is the full name of the gRPC service."""
        self._names.append(name)
        self._register(register, servicer, lambda _: Rule(self._callers))

    def restrict(self, method: str, callers: Iterable[str]) -> None:
        """Let only `callers` call `method` ("/package.Service/Method"), which must be a subset of the server's list.

        Raises:
            ValueError: no such method was added, or a caller is not in the server's list.
        """
        chosen = frozenset(callers)
        if method not in self._guard.rules or not chosen <= self._callers:
            raise ValueError(f"cannot restrict {method} to {sorted(chosen)}")
        self._guard.rules[method] = Rule(chosen)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            UnavailableError: no certificates ("tls_files"), or the address cannot be had ("grpc_address").
        """
        credentials = self._credentials()
        self._server = grpc.aio.server(
            options=(*SERVER_OPTIONS, *self._limits.options),
            maximum_concurrent_rpcs=self._limits.concurrent_calls,
        )
        self._registrar.install(self._server)
        try:
            self._port = self._server.add_secure_port(self._address, credentials)
        except RuntimeError as error:
            await self._server.stop(None)
            raise UnavailableError("grpc_address") from error
        await self._server.start()
        await self.set_serving(True)

    async def set_serving(self, serving: bool) -> None:
        """Tell watchers of health whether calls are welcome; calls are served either way."""
        for name in ("", *self._names):
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Take no new calls, let those under way finish for up to `grace` seconds, then cancel the rest. Idempotent."""
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._server.stop(grace)

    def _register(self, register: Callable[[Any, Any], None], servicer: object, rule: Callable[[str], Rule]) -> None:
        self._registrar.rule = rule
        register(servicer, self._registrar)

    def _credentials(self) -> grpc.ServerCredentials:
        current = self._tls.material()

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal current
            fresh = self._tls.material()
            if fresh is current:
                return None
            current = fresh
            return _configuration(fresh)

        return grpc.dynamic_ssl_server_credentials(_configuration(current), cast("_Fetch", fetch), True)


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    pair = (material.key.reveal(), material.certificate)
    return grpc.ssl_server_certificate_configuration([pair], material.authorities)


class _Registrar:
    """Stands in for the server while generated code registers handlers, and wraps each of them on the way."""

    def __init__(self, guard: Guard) -> None:
        self.rule: Callable[[str], Rule] = lambda _: Rule(frozenset())
        self._guard = guard
        self._handlers: dict[str, dict[str, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler[Any, Any]]) -> None:
        """Ignore them: generated code registers the same handlers by method too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Wrap the handlers of one gRPC service and keep them for the real server."""
        wrapped = self._handlers[service] = {}
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            wrapped[name] = self._guard.wrap(path, handler, self.rule(path))

    def install(self, server: Any) -> None:
        """Hand everything to the real server, by name only.

        gRPC keeps one request waiting for each *registered* method and, for every call, waits on all of them anew: a
        service of twenty methods paid 30 µs per call for it. Handlers looked up by name share one.
        """
        for service, handlers in self._handlers.items():
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
