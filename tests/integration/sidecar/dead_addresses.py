"""A network with a DNS server of its own, addresses that drop everything, and one where a fake STS answers."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts.outcome import parse_outcome
from testing.pods.namespaces import NamespaceProcess, Namespaces
from testing.repository import ROOT

DNS = "127.0.0.1"
GOOD = "203.0.113.1"
DEAD = tuple(f"198.51.100.{number}" for number in range(1, 9))
DEAD_IPV6 = tuple(f"2001:db8::{number}" for number in range(1, 9))
OWN, OWN_IPV6 = "192.0.2.1", "2001:db8:1::1"

# A link that needs no neighbour sends everything to its other end, where nobody has these addresses. The source is the
# same for all addresses and in no subnet with them, so that the C library has no reason to prefer the good one:
# https://www.rfc-editor.org/rfc/rfc6724#section-6
SET_UP = f"""
mount --bind "$1" /etc/resolv.conf
ip link add hole type veth peer name void
ip link set hole arp off
ip link set void up
ip link set hole up
ip address add {OWN}/32 dev hole
ip address add {OWN_IPV6}/128 dev hole nodad
ip route add 198.51.100.0/24 dev hole src {OWN}
ip -6 route add 2001:db8::/48 dev hole src {OWN_IPV6}
ip route add local {GOOD}/32 dev lo src {OWN}
"""

STS = f"""
from http.server import ThreadingHTTPServer
from testing.services.faulty_sts import FaultySts, StsRequest
server = ThreadingHTTPServer(("{GOOD}", 80), StsRequest)
server.script = FaultySts("")
print("ready", flush=True)
server.serve_forever()
"""

RESOLVE = "import socket, sys; print(*(found[4][0] for found in socket.getaddrinfo(sys.argv[1], 80, type=1)))"


class Call(NamedTuple):
    """A call of STS by the child process."""

    outcome: Credentials | Failure
    seconds: float
    """With the start of the process, which takes long on a busy machine."""

    seconds_after_query: float
    """From the first query that the DNS server got; NaN if it got none."""


class Network:
    """The namespaces."""

    def __init__(self, namespaces: Namespaces, resolv_conf: Path) -> None:
        self._namespaces = namespaces
        self._resolv_conf = resolv_conf
        self._queries: IO[bytes] | None = None
        """What the DNS server prints."""

    def popen(self, argv: Sequence[str], environ: Mapping[str, str], **options: Any) -> NamespaceProcess:
        """Start Python in the network."""
        environ = {**environ, "PYTHONPATH": str(ROOT)}
        return self._namespaces.popen([sys.executable, *argv], env=environ, **options)

    def resolve(self, name: str) -> list[str]:
        """The addresses of a name, in the order of the C library."""
        return self._namespaces.run([sys.executable, "-c", RESOLVE, name]).stdout.split()

    def set_dns_servers(self, *addresses: str) -> None:
        """Have DNS servers asked in this order; the one of `name_addresses` is at DNS."""
        self._resolv_conf.write_text("".join(f"nameserver {address}\n" for address in addresses))

    @contextmanager
    def running(self, *argv: str) -> Iterator[IO[bytes]]:
        """Run a server from its `ready` until the block ends; yield what it prints then."""
        with self.popen(argv, {}, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout
                assert process.stdout.readline() == b"ready\n"
                yield process.stdout
            finally:
                process.terminate()

    @contextmanager
    def name_addresses(self, *addresses: str) -> Iterator[None]:
        """Let every name have these addresses; without any, let no DNS server answer."""
        with self.running("-m", "testing.services.dns", *addresses) as self._queries:
            os.set_blocking(self._queries.fileno(), False)
            yield

    def fetch(self, environ: Mapping[str, str], attempts: int = 1) -> Call:
        """Run the child process."""
        self._read_queries()  # of earlier processes
        began = time.monotonic()
        pipe = subprocess.PIPE  # its standard input stays open: it exits when that closes
        with self.popen(["-m", "sidecar.sts", str(attempts)], environ, stdin=pipe, stdout=pipe) as process:
            assert process.stdout
            try:
                outcome = parse_outcome(process.stdout.readline())
                ended = time.monotonic()
            finally:
                process.kill()
        return Call(outcome, ended - began, ended - min(self._read_queries(), default=math.nan))

    def _read_queries(self) -> list[float]:
        assert self._queries
        return [float(line) for line in (self._queries.read() or b"").split()]


@contextmanager
def dead_addresses(directory: Path) -> Iterator[Network]:
    """Set up the network, with the fake STS in it."""
    configuration = directory / "resolv.conf"
    configuration.touch()
    with ExitStack() as stack:
        namespaces = stack.enter_context(Namespaces())
        namespaces.run(["sh", "-ec", SET_UP, "sh", str(configuration)])
        network = Network(namespaces, configuration)
        network.set_dns_servers(DNS)
        stack.enter_context(network.running("-c", STS))
        yield network
