"""A fake of EC2's metadata service with the node's role: `imds.py CREDENTIALS_FILE ADDRESS:PORT...`.

`--require-tokens` and `--hop-limit` are EC2's HttpTokens=required and HttpPutResponseHopLimit.

The file is the output of `aws sts assume-role`. Standard library only, so that it starts fast.
"""

import argparse
import ipaddress
import json
import secrets
import signal
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

TOKEN_PATH = "/latest/api/token"
ROLES_PATH = "/latest/meta-data/iam/security-credentials"
DOCUMENTS = {
    "/latest/meta-data/": "iam/\ninstance-id\nplacement/",
    "/latest/meta-data/instance-id": "i-0123456789abcdef0",
    "/latest/meta-data/placement/availability-zone": "eu-west-1b",
}
TOKEN_HEADER = "X-aws-ec2-metadata-token"
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TTL_LONGEST_SECONDS = 21_600
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class NodeRole:
    """The node's role, and its credential document."""

    name: str
    document: str

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the JSON output of AssumeRole."""
        answer = json.loads(file.read_text())
        return cls.of(answer["AssumedRoleUser"]["Arn"].split("/")[-2], answer["Credentials"])

    @classmethod
    def of(cls, name: str, credentials: dict[str, str]) -> Self:
        """Build a role from the credentials of AssumeRole."""
        return cls(name, build_document(credentials))


def build_document(credentials: dict[str, str]) -> str:
    """Write one key per line, in the order of the real service: scripts parse it by lines."""
    expiration = datetime.fromisoformat(credentials["Expiration"]).astimezone(UTC)
    fields = {
        "Code": "Success",
        "LastUpdated": datetime.now(UTC).strftime(TIME_FORMAT),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials["AccessKeyId"],
        "SecretAccessKey": credentials["SecretAccessKey"],
        "Token": credentials["SessionToken"],
        "Expiration": expiration.strftime(TIME_FORMAT),
    }
    return json.dumps(fields, indent=2, separators=(",", " : "))


class MetadataServer(ThreadingHTTPServer):
    """Listens on one address, IPv4 or IPv6."""

    daemon_threads = True

    def __init__(
        self, endpoint: str, role: NodeRole, *, requires_tokens: bool = False, hop_limit: int | None = None
    ) -> None:
        host, port = parse_endpoint(endpoint)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.role = role
        self.requires_tokens = requires_tokens
        self.hop_limit = hop_limit
        self.expiry_by_token: dict[str, float] = {}
        """Monotonic clock."""

        super().__init__((host, port), MetadataRequest)

    @property
    def endpoint(self) -> str:
        """The address and port that it listens on."""
        host, port = self.server_address[:2]
        return f"[{host!s}]:{port}" if self.address_family == socket.AF_INET6 else f"{host!s}:{port}"


class MetadataRequest(BaseHTTPRequestHandler):
    """Answers as https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html says."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1
    """Buffered, so that head and body are sent in one segment."""

    server: MetadataServer

    def do_PUT(self) -> None:
        """Issue a session token."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        ttl = self.headers.get(TTL_HEADER, "")
        if self.path != TOKEN_PATH or "X-Forwarded-For" in self.headers:
            self._answer(403)
        elif not ttl.isdecimal() or not 1 <= int(ttl) <= TTL_LONGEST_SECONDS:
            self._answer(400)
        else:
            self._limit_hops()
            token = secrets.token_urlsafe(40)
            self.server.expiry_by_token[token] = time.monotonic() + int(ttl)
            self._answer(200, token, {TTL_HEADER: ttl})

    def do_GET(self) -> None:
        """Serve the role's name, its credentials and some node metadata, with a valid token or without one."""
        role = self.server.role
        token = self.headers.get(TOKEN_HEADER)
        if (token is None and self.server.requires_tokens) or (
            token is not None and self.server.expiry_by_token.get(token, 0) < time.monotonic()
        ):
            self._answer(401)
        elif self.path.rstrip("/") == ROLES_PATH:
            self._answer(200, role.name)
        elif self.path.rstrip("/") == f"{ROLES_PATH}/{role.name}":
            self._answer(200, role.document)
        elif self.path in DOCUMENTS:
            self._answer(200, DOCUMENTS[self.path])
        else:
            self._answer(404)

    def _limit_hops(self) -> None:
        """Routers drop the response after this many hops; other responses have no such limit."""
        if self.server.hop_limit is not None and self.server.address_family == socket.AF_INET6:
            self.connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, self.server.hop_limit)
        elif self.server.hop_limit is not None:
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, self.server.hop_limit)

    def _answer(self, status: int, body: str = "", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Log one line per request with the request line and the status, without headers."""
        print(self.client_address[0], format % args, flush=True)


def parse_endpoint(endpoint: str) -> tuple[str, int]:
    """Split `127.0.0.1:80` or `[::1]:80`; raise ValueError for anything else."""
    address, _, port = endpoint.rpartition(":")
    return str(ipaddress.ip_address(address.strip("[]"))), int(port)


def main() -> None:
    """Serve until a signal arrives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("credentials_file", type=Path)
    parser.add_argument("endpoint", nargs="+")
    parser.add_argument("--require-tokens", action="store_true")
    parser.add_argument("--hop-limit", type=int)
    arguments = parser.parse_args()
    role = NodeRole.load(arguments.credentials_file)
    servers = []
    for endpoint in arguments.endpoint:
        try:
            options = {"requires_tokens": arguments.require_tokens, "hop_limit": arguments.hop_limit}
            servers.append(MetadataServer(endpoint, role, **options))
        except (OSError, ValueError) as error:
            parser.exit(1, f"cannot listen on {endpoint}: {error}\n")
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving on", *(server.endpoint for server in servers), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
