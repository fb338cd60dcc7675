"""A fake API server on real sockets: it lists and watches as the real one does, and fails where a test wants it."""

import json
import socket
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import Configuration

from testing.api_status import build_absence, build_status
from testing.protobuf import CONTENT_TYPE, EncodedDocument, encode_document, encode_event

NAMESPACES, ACCOUNTS = "/api/v1/namespaces", "/api/v1/serviceaccounts"
META = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
GONE = build_status(410, "Expired", "too old resource version")


@dataclass(frozen=True)
class Request:
    """A request that reads."""

    path: str
    query: dict[str, str]
    accept: str

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query

    @property
    def is_first_page(self) -> bool:
        return self.is_list and "continue" not in self.query

    @property
    def is_list(self) -> bool:
        return not self.is_watch and self.path in {NAMESPACES, ACCOUNTS}


class RequestHandler(BaseHTTPRequestHandler):
    """Handles the requests of one connection; a test's faults write to it."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    api: "ListWatchServer"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        request = Request(url.path, query, self.headers["Accept"])
        with suppress(ConnectionError):
            self.api.handle(self, request)

    def setup(self) -> None:
        super().setup()
        self.api.connections.append(self.connection)

    def send_document(self, status: int, document: Any) -> None:
        is_protobuf = status == HTTPStatus.OK and (self.headers["Accept"] or "").startswith(CONTENT_TYPE)
        body = encode_document(document) if is_protobuf else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE if is_protobuf else "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:  # otherwise the client can send its next request on a connection that is closing
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def open_stream(self) -> None:
        self.send_response(200)
        is_protobuf = (self.headers["Accept"] or "").startswith(CONTENT_TYPE)
        self.send_header("Content-Type", f"{CONTENT_TYPE};stream=watch" if is_protobuf else "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def open_stream_and_hang(self) -> None:
        self.open_stream()
        self.hang()

    def hang(self) -> None:
        """Send nothing more and keep the connection open, until the server or the client stops."""
        with self.api.changed:
            self.api.changed.wait_for(lambda: self.api.is_closing, timeout=30)

    def log_message(self, *_: object) -> None:
        """Keep the tests quiet."""


class Listener(ThreadingHTTPServer):
    """Logs no error for connections that end early: that is what the tests do."""

    def handle_error(self, *_: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            raise  # noqa: PLE0704 - called where it was caught


Fault: TypeAlias = Callable[[RequestHandler], None]


@dataclass
class ListWatchServer:
    """Objects by path and key, the events that created them, and all requests."""

    port: int = 0
    page_objects: int = 500
    objects: dict[str, dict[tuple[str, str], Any]] = field(default_factory=lambda: defaultdict(dict))
    events: dict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    requests: list[Request] = field(default_factory=list)
    faults: dict[tuple[str, bool], deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    """What happens instead of the next answers, by path and whether they are watches."""

    always_fail: Callable[[Request], Fault | None] = lambda _request: None
    """What happens instead of the answer to a request, each time."""

    connections: list[socket.socket] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)
    version: int = 100
    oldest_version: int = 0
    is_closing: bool = False
    handler: type[RequestHandler] = RequestHandler
    server: Listener | None = None
    thread: Thread | None = None

    @property
    def configuration(self) -> Configuration:
        """The client's configuration for this server."""
        return Configuration(host=f"http://127.0.0.1:{self.port}")

    def start(self) -> None:
        """Listen; after a stop, on the same port."""
        self.is_closing = False
        self.server = Listener(("127.0.0.1", self.port), type("Bound", (self.handler,), {"api": self}))
        self.port = self.server.server_port
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Stop listening and end every connection, also in the middle of an answer."""
        if self.server is None or self.thread is None:
            return
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.drop_connections()
        self.server = None

    def drop_connections(self) -> None:
        """Close all open connections."""
        connections, self.connections = self.connections, []
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def put(self, path: str, name: str, namespace: str = "", **metadata: Any) -> None:
        """Create or change an object."""
        with self.changed:
            self.version += 1
            place = {"namespace": namespace} if namespace else {}
            metadata = {"name": name, **place, "resourceVersion": str(self.version), **metadata}
            known = self.objects[path]
            kind = "MODIFIED" if (namespace, name) in known else "ADDED"
            known[namespace, name] = EncodedDocument({**META, "metadata": metadata})
            self._record(path, kind, known[namespace, name])

    def delete(self, path: str, name: str, namespace: str = "") -> None:
        """Delete an object."""
        with self.changed:
            self.version += 1
            gone = self.objects[path].pop((namespace, name))
            self._record(
                path, "DELETED", {**META, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
            )

    def bookmark(self, path: str) -> None:
        """Send a bookmark: a higher resource version without a change."""
        with self.changed:
            self.version += 7
            self._record(path, "BOOKMARK", {**META, "metadata": {"resourceVersion": str(self.version)}})

    def compact_events(self) -> None:
        """Compact: a watch from an earlier resource version gets 410."""
        with self.changed:
            self.version += 1
            self.oldest_version = self.version
            self.events.clear()

    def fail_next(self, path: str, fault: Fault, *, watch: bool = True) -> None:
        """Run a fault instead of answering the next watch of a path, or the next other request."""
        self.faults[path, watch].append(fault)

    def wait_for_requests(self, description: str, count: int, is_wanted: Callable[[Request], bool]) -> list[Request]:
        """Wait until there were `count` such requests; return all of them."""
        with self.changed:
            found = self.changed.wait_for(lambda: len(self._find(is_wanted)) >= count, timeout=20)
            assert found, f"{description}: {len(self._find(is_wanted))} of {count} requests"
            return self._find(is_wanted)

    def handle(self, handler: RequestHandler, request: Request) -> None:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        waiting = self.faults[request.path, request.is_watch]
        if waiting:
            handler.close_connection = True
            waiting.popleft()(handler)
        elif fault := self.always_fail(request):
            handler.close_connection = True
            fault(handler)
        elif request.is_watch:
            self._stream(handler, request)
        elif request.is_list:
            handler.send_document(200, self.build_page(request))
        else:
            handler.send_document(*self._read(request.path))

    def _find(self, is_wanted: Callable[[Request], bool]) -> list[Request]:
        return [request for request in self.requests if is_wanted(request)]

    def _record(self, path: str, kind: str, thing: Any) -> None:
        self.events[path].append((self.version, encode_event(kind, thing)))
        self.changed.notify_all()

    def build_page(self, request: Request) -> Any:
        """A page of the current list."""
        with self.changed:
            first = int(request.query.get("continue", "0"))
            things = list(self.objects[request.path].values())
            metadata = {"resourceVersion": str(self.version)}
            last = (
                first + min(self.page_objects, int(request.query["limit"])) if "limit" in request.query else len(things)
            )
            if last < len(things):
                metadata["continue"] = str(last)
            return {"kind": "PartialObjectMetadataList", "metadata": metadata, "items": things[first:last]}

    def _stream(self, handler: RequestHandler, request: Request) -> None:
        seen = int(request.query["resourceVersion"])
        if seen < self.oldest_version:
            handler.send_document(410, GONE)
            return
        handler.open_stream()
        deadline = time.monotonic() + int(request.query["timeoutSeconds"])
        while not self.is_closing and (left := deadline - time.monotonic()) > 0:
            for at, line in self._wait_for_events(request.path, seen, left):
                handler.send_chunk(line)
                seen = at
        handler.end_stream()

    def _wait_for_events(self, path: str, seen: int, within_seconds: float) -> list[tuple[int, bytes]]:
        def find() -> list[tuple[int, bytes]]:
            return [(at, line) for at, line in self.events[path] if at > seen]

        with self.changed:
            self.changed.wait_for(lambda: self.is_closing or find(), timeout=within_seconds)
            return find()

    def _read(self, path: str) -> tuple[int, Any]:
        if path == "/version/":
            return 200, {"major": "1", "minor": "34"}
        parts = path.removeprefix(NAMESPACES + "/").split("/")
        place, key = (NAMESPACES, ("", parts[0])) if len(parts) == 1 else (ACCOUNTS, (parts[0], parts[2]))
        thing = self.objects[place].get(key)
        resource = "namespaces" if place == NAMESPACES else "serviceaccounts"
        return (200, thing) if thing else build_absence(resource, key[1])


@contextmanager
def list_watch_server() -> Iterator[ListWatchServer]:
    """Run the server until the block ends."""
    api = ListWatchServer()
    api.start()
    try:
        yield api
    finally:
        api.stop()
