"""A real DNS server on the loopback, with a zone from a table, that can be told to fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

# (name, type) -> records in their text form; a CNAME is given for the type asked too.
Zone = Mapping[tuple[str, str], Sequence[str]]


class DnsServer:
    """Answers over UDP (and TCP, where that is too small) from `zone`; names outside of it do not exist.

    `mode` is "answer", "servfail" or "silent"; `faults` gives single questions a mode of their own. With `signed` it
    claims (AD) that its answers are validated, except for what `unsigned` names; there is no DNSSEC behind it, a client
    has to believe it as it would a resolver.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = {(name.lower().rstrip(".") + ".", kind): list(records) for (name, kind), records in zone.items()}
        self.mode = "answer"
        self.faults: dict[tuple[str, str], str] = {}
        self.signed = False
        self.unsigned: set[tuple[str, str]] = set()
        self.ttl = 300
        self.asked: list[tuple[str, str]] = []
        self._socket, self._listener = _bind()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._serve, self._serve_tcp)]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        # Nothing at all is what tells the threads to end.
        self._socket.sendto(b"", self._socket.getsockname())
        socket.create_connection(self._listener.getsockname()).close()
        for thread in self._threads:
            thread.join()
        self._socket.close()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                return
            try:
                query = dns.message.from_wire(data)
            except dns.exception.DNSException:
                continue
            answer = self._answer(query)
            if answer is None:
                continue
            try:
                wire = answer.to_wire()
            except dns.exception.TooBig:
                answer.answer.clear()
                answer.flags |= dns.flags.TC
                wire = answer.to_wire()
            self._socket.sendto(wire, client)

    def _serve_tcp(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as stream:
                length = stream.read(2)
                if not length:
                    return
                answer = self._answer(dns.message.from_wire(stream.read(int.from_bytes(length))))
                if answer is not None:
                    wire = answer.to_wire(max_size=65535)
                    connection.sendall(len(wire).to_bytes(2) + wire)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        mode = self.faults.get((name.rstrip("."), kind), self.mode)
        if mode == "silent":
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if mode == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if self.signed and query.flags & dns.flags.AD and (name.rstrip("."), kind) not in self.unsigned:
            response.flags |= dns.flags.AD
        while kind != "CNAME" and (aliases := self.zone.get((name, "CNAME"))) and (name, kind) not in self.zone:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", *aliases))
            name = aliases[0].lower()
        if not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif records := self.zone.get((name, kind)):
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *records))
        return response


def _bind() -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket on one port."""
    for _ in range(20):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            # Somebody else has that one for TCP.
            udp.close()
    raise RuntimeError("no port is free for both UDP and TCP")


@contextmanager
def serve_dns(zone: Zone) -> Iterator[DnsServer]:
    """Run a server for `zone`."""
    server = DnsServer(zone)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def txt(text: str) -> str:
    """Return a TXT record's text form: quoted, in strings of 255 characters at most."""
    return " ".join('"' + text[start : start + 255].replace('"', '\\"') + '"' for start in range(0, len(text), 255))
