"""Calls between services: mutual TLS always, a deadline always, errors of one tree on both sides.

server.RpcServer serves, channel.connect calls; tls.TlsFiles reads certificates that change while the process runs;
status is the one table between libs.runtime.errors and gRPC; devca makes the certificates of a local platform.
"""
