"""The Kubernetes API client: plain JSON in and out, and one typed error of `injector.errors` for each failure.

It uses the configuration and the connection pool of the package `kubernetes`, but not its generated methods: those cost
22 MiB and a second at the start, and decode answers into models, which do not know PartialObjectMetadata.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Self, Unpack
from urllib.parse import urlencode

from kubernetes.client import Configuration, rest
from kubernetes.config import ConfigException
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

import contract
from injector.deadlines import API_CONNECT_SECONDS, API_PAGE_SECONDS, API_READ_SECONDS
from injector.errors import (
    ApiError,
    ClusterError,
    InvalidResponseError,
    NotFoundError,
    ObjectError,
    ObjectTooLargeError,
    UnreachableError,
)
from injector.k8s.answers import check_document, check_headers, is_absence
from injector.k8s.api_errors import (
    build_api_error,
    build_unknown_failure,
    parse_status,
    translate_network_errors,
    translate_object_errors,
)
from injector.k8s.deadline_connection import set_deadlines
from injector.k8s.objects import Object, read_mapping, read_objects
from injector.k8s.paging import MAX_KEPT_BYTES, MAX_PASSED_BYTES, PAGE_SIZE, ListPage, iterate_pages
from injector.k8s.request import METADATA, METHODS, Options, Request
from injector.k8s.server_clock import ServerClock
from injector.k8s.watch_stream import CHUNK_BYTES, WatchStream

DRY_RUN = {"dryRun": "All"}
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run"""

TIMEOUT = Timeout(connect=API_CONNECT_SECONDS, read=API_READ_SECONDS)
"""To connect and send, and for the whole answer."""

PAGE_TIMEOUT = Timeout(connect=API_CONNECT_SECONDS, read=API_PAGE_SECONDS)

SUCCESS = {200, 201, 202}
"""Of the API server; it answers neither with an empty body nor with a part."""

MAX_CONNECTIONS = 16

MAX_ERROR_BYTES = 64 * 1024
"""Of the answer of a failed request."""

MAX_OBJECT_BYTES = 16 * 1024 * 1024
"""Of an object in JSON: etcd stores 1.5 MiB, of which each byte can take six."""

MAX_PAGE_BYTES = 256 * 1024 * 1024
"""Of a page in JSON. Only commands list in JSON, and their pages can have large pods."""


class ApiClient:
    """Sends requests to one API server. It connects with the first request, so it can be created before a fork."""

    def __init__(
        self,
        configuration: Configuration,
        timeout: Timeout = TIMEOUT,
        server_clock: ServerClock | None = None,
        max_object_bytes: int = MAX_OBJECT_BYTES,
    ) -> None:
        """`server_clock` gets the date of each answer; `max_object_bytes` is for objects in JSON."""
        # Each retry would add the whole timeout once more, and nothing limits their sum.
        configuration.retries = False
        # A NAT or load balancer that has forgotten a connection drops the next request without an answer.
        configuration.keep_alive = True
        # Each thread of the webhook can send one request; urllib3 logs each connection that is one too many.
        configuration.connection_pool_maxsize = MAX_CONNECTIONS
        self.configuration = configuration
        self._timeout = timeout
        self._server_clock = server_clock
        self._max_object_bytes = max_object_bytes
        self._pool = _build_pool(configuration)
        if not (configuration.proxy or "").startswith("socks"):  # those have connections of their own
            set_deadlines(self._pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a further request opens one again."""
        self._pool.clear()

    def get(self, path: str, **options: Unpack[Options]) -> dict[str, Any]:
        """An object; raise NotFoundError where the API server says that it does not exist."""
        return self._fetch(Request("get", path, **options))

    def get_or_none(self, path: str, **options: Unpack[Options]) -> dict[str, Any] | None:
        """An object, or None where the API server says that it does not exist."""
        try:
            return self.get(path, **options)
        except NotFoundError:
            return None

    def list_page(self, path: str, continue_token: str = "", **options: Unpack[Options]) -> ListPage:
        """The first page of a collection, or the page that the token of the page before names."""
        options.setdefault("timeout", PAGE_TIMEOUT)
        request = Request("list", path, **options).with_query({"limit": str(PAGE_SIZE)})
        if continue_token:
            request = request.with_query({"continue": continue_token})
        data = self.read(request, MAX_PAGE_BYTES)
        document = _parse(request, data)
        with translate_object_errors(request.action):
            if "items" not in document:
                raise ObjectError("a list has no items")
            continue_token = str(read_mapping(document, "metadata").get("continue") or "")
            return ListPage(read_objects(document, "items"), continue_token, len(data))

    def list(self, path: str, **options: Unpack[Options]) -> Sequence[Object]:
        """All objects of a collection; raise ObjectTooLargeError if they are too many to keep them."""
        return [*self.iterate(path, MAX_KEPT_BYTES, **options)]

    def iterate(self, path: str, max_bytes: int = MAX_PASSED_BYTES, **options: Unpack[Options]) -> Iterator[Object]:
        """The objects of a collection, page by page."""
        description = options.get("description") or path
        return iterate_pages(lambda token: self.list_page(path, token, **options), description, max_bytes)

    def read(self, request: Request, max_bytes: int) -> bytes:
        """The body of an answer, in any format; raise ObjectTooLargeError if it is larger."""
        with translate_network_errors(request.action), closing(self._open(request)) as response:
            return _read_body(request, response, max_bytes)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """Open an answer and yield its chunks, which are read one by one. Its errors are not translated."""
        with translate_network_errors(request.action):
            response = self._open(request)
        with closing(response):
            yield response.stream(CHUNK_BYTES, decode_content=False)

    @contextmanager
    def watch(self, path: str, **options: Unpack[Options]) -> Iterator[WatchStream]:
        """Open a watch, and close it after the block. Its connection cannot be used again."""
        request = Request("watch", path, **options).with_query({"watch": "true"})
        with translate_network_errors(request.action):
            response = self._open(request)
        with closing(response):
            yield WatchStream(response, request.action)

    def create(
        self, path: str, document: Object, *, dry_run: bool = False, **options: Unpack[Options]
    ) -> dict[str, Any]:
        """Create an object of a collection; return what was stored, or in a dry run what would be."""
        request = Request("create", path, body=document, **options)
        return self._fetch(request.with_query(DRY_RUN) if dry_run else request)

    def update(self, path: str, document: Object, **options: Unpack[Options]) -> dict[str, Any]:
        """Replace an object; raise ConflictError where its resourceVersion is not the current one."""
        return self._fetch(Request("update", path, body=document, **options))

    def patch(self, path: str, change: Object, content_type: str, **options: Unpack[Options]) -> dict[str, Any]:
        """Change parts of an object; raise ConflictError where the patch has another resourceVersion than it."""
        return self._fetch(Request("patch", path, body=change, content_type=content_type, **options))

    def delete(self, path: str, **options: Unpack[Options]) -> None:
        """Delete an object; raise NotFoundError where it does not exist."""
        self._fetch(Request("delete", path, **options))

    def auth_headers(self) -> dict[str, str]:
        """The header that authenticates. Built for each request, as a token file or an exec plugin renews the token."""
        try:
            bearer = self.configuration.auth_settings().get("BearerToken")
        except UnicodeDecodeError as error:
            raise ConfigException(f"the token to authenticate with is no text: {error.reason}") from None
        value = str(bearer["value"] or "").strip() if bearer else ""  # kubectl strips it, too
        if not (value.isascii() and value.isprintable()):  # http.client would quote it in its error
            raise ConfigException("the token to authenticate with has characters that no HTTP header can have")
        return {bearer["key"]: value} if bearer and value else {}

    def _fetch(self, request: Request) -> dict[str, Any]:
        return _parse(request, self.read(request, self._max_object_bytes))

    def _open(self, request: Request) -> Any:
        """The answer with its body unread."""
        headers = {
            "Accept": request.accept,
            "User-Agent": f"podrole-injector/{contract.VERSION}",
            **self.auth_headers(),
        }
        has_body = request.body is not None
        response = self._pool.request(
            METHODS[request.verb],
            self.configuration.host + request.path + (f"?{urlencode(request.query)}" if request.query else ""),
            body=json.dumps(request.body) if has_body else None,
            headers=headers | ({"Content-Type": request.content_type} if has_body else {}),
            timeout=request.timeout or self._timeout,
            preload_content=False,
            redirect=False,
        )
        try:
            _check_success(request, response)
        except BaseException:
            response.close()
            raise
        if self._server_clock:  # not for a failure, which a proxy can have sent
            self._server_clock.record(response.headers.get("Date"))
        return response


def _build_pool(configuration: Configuration) -> Any:
    try:
        return rest.RESTClientObject(configuration).pool_manager
    except (HTTPError, ImportError):
        raise ClusterError(  # without the cause: it can have the URL, with a password
            "the proxy for the API server cannot be used: proxy-url in the kubeconfig, or HTTPS_PROXY, must be a URL"
            " such as http://proxy.example.com:3128"
        ) from None


def _parse(request: Request, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError(f"cannot {request.action}: the answer is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidResponseError(f"cannot {request.action}: the answer is not a JSON object")
    with translate_object_errors(request.action):
        check_document(request.verb, request.target, document)
    return document


def _check_success(request: Request, response: Any) -> None:
    """Raise the error that the status line and the headers of an answer stand for."""
    if response.status in SUCCESS:
        with translate_object_errors(request.action):
            check_headers(response.headers, request.accept)
        return
    status = parse_status(response.read(MAX_ERROR_BYTES, decode_content=False), response.status)
    if status is None:
        content_type = response.headers.get("Content-Type")
        raise build_unknown_failure(request.action, response.status, str(response.reason), content_type)
    error = build_api_error(request.action, status)
    if isinstance(error, NotFoundError) and not is_absence(request.verb, request.target, status):
        raise ApiError(f"{error}, which is not about what was asked for", error.status, error.message)
    raise error


def _read_body(request: Request, response: Any, max_bytes: int) -> bytes:
    data: bytes = response.read(max_bytes + 1, decode_content=False)
    if len(data) > max_bytes:
        what = " of metadata" if request.accept == METADATA else ""
        limit = f"{max_bytes >> 20} MiB" if max_bytes >> 20 else f"{max_bytes >> 10} KiB"
        raise ObjectTooLargeError(f"{request.description or request.path} has more than {limit}{what}")
    if response.length_remaining or not data:  # http.client takes the end of a connection for the end of headers, too
        raise UnreachableError(f"cannot {request.action}: the connection was closed within the answer")
    return data
