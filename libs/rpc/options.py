"""The settings of gRPC that both sides must agree on, and why they are what they are."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 72 * 1024 * 1024

_BOTH: dict[str, int] = {
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    # A node that vanishes sends no FIN: a connection without an answer for 10 s is dead. Idle connections are asked
    # too, because a NAT between nodes forgets them.
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
}

SERVER_OPTIONS: tuple[tuple[str, int | str], ...] = (
    *_BOTH.items(),
    ("grpc.keepalive_time_ms", 60_000),
    # Clients ping every 30 s; half of that is tolerated before a connection is closed as abusive.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 15_000),
    # Connections end politely after ten minutes (±10 %, by gRPC): clients look the name up again and find new replicas,
    # and both sides show their newest certificates. Calls under way may finish.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 300_000),
    # Two processes on one port would share its calls silently; a taken port must be an error.
    ("grpc.so_reuseport", 0),
)

CLIENT_OPTIONS: tuple[tuple[str, int | str], ...] = (
    *_BOTH.items(),
    ("grpc.keepalive_time_ms", 30_000),
    # The services are headless in Kubernetes: one address for each replica, all used in turn.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # In spite of its name the time that a connection, its handshake included, may take.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    # Proxies of the environment are not for calls between services.
    ("grpc.enable_http_proxy", 0),
)
