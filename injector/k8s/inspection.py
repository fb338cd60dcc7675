"""Reads whatever a person wants explained, as plain JSON, with that person's rights. Nothing here changes anything."""

import json
from collections.abc import Sequence
from typing import Any, Self

import yaml
from kubernetes import client
from kubernetes.config import ConfigException
from kubernetes.stream import ws_client
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from websocket import WebSocketBadStatusException, WebSocketException, setdefaulttimeout

from injector.errors import ClusterError
from injector.k8s.client import JSON, Request, RequestBody, StatusError, Transport
from injector.k8s.objects import Object

TIMEOUT = Timeout(connect=5, read=15)
"""Seconds. A page of a large cluster's nodes or ServiceAccounts may take some."""

EXEC_TIMEOUT_SECONDS = 15
PAGE_SIZE = 500
NOT_FOUND = 404

websockets: Any = ws_client
"""Not annotated by the client."""


class RequestRefusedError(ClusterError):
    """The API server answered, with a failure. `status` is its HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiClient:
    """Asks one API server."""

    def __init__(self, configuration: client.Configuration) -> None:
        self._configuration = configuration
        self._transport = Transport(configuration)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def read(self, path: str) -> Object | None:
        """The object at a path of the API; None if there is none. Raises ClusterError."""
        try:
            return self._ask(path)
        except RequestRefusedError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def list(self, path: str, **query: str) -> list[Object]:
        """All objects of a collection, page by page. Raises ClusterError."""
        items: list[Object] = []
        position = ""
        while True:
            answer = self._ask(path, {**query, "limit": str(PAGE_SIZE), **({"continue": position} if position else {})})
            items += answer.get("items") or []
            position = (answer.get("metadata") or {}).get("continue") or ""
            if not position:
                return items

    def create_dry_run(self, path: str, thing: Object) -> Object:
        """What would be stored: a dry run, after which nothing is there.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
        """
        return self._ask(path, {"dryRun": "All"}, RequestBody("POST", thing))

    def run(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str:
        """Run a command in a container; give what it printed. Raises ClusterError, also where it fails in silence."""
        where = f"{namespace}/{pod}, container {container}"
        query = {"container": container, "stdout": "true", "stderr": "true"}
        url = f"{self._configuration.host}/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        setdefaulttimeout(EXEC_TIMEOUT_SECONDS)  # the Kubernetes client has no way to give one
        try:
            # Not by way of the client's models, whose import takes a second.
            opened = websockets.WSClient(
                self._configuration,
                websockets.get_websocket_url(url, [*query.items(), *(("command", word) for word in command)]),
                self._transport.auth_headers(),
                capture_all=False,
            )
            try:
                return _collect(opened, where)
            finally:
                opened.sock.shutdown()  # its close() leaves a socket open to which the server has said farewell
        except WebSocketBadStatusException as error:
            raise ClusterError(f"exec in {where} was refused: {_read_refusal(error)}") from error
        except (WebSocketException, OSError) as error:
            raise ClusterError(f"exec in {where} failed: {error}") from error

    def _ask(self, path: str, query: dict[str, str] | None = None, change: RequestBody | None = None) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._transport.fetch(Request(path, JSON, TIMEOUT, query, change))
        except StatusError as error:
            raise RequestRefusedError(f"{error.message} ({error.status})", error.status) from error
        except (HTTPError, OSError, ConfigException, ValueError) as error:
            raise ClusterError(f"the API server did not give {path}: {error}") from error
        return answer


def _read_refusal(error: Any) -> str:
    """The API server's sentence, which names the person and the verb that is missing."""
    try:
        return f"{json.loads(error.resp_body)['message']} ({error.status_code})"
    except (ValueError, TypeError, LookupError):
        return str(error.status_code)


def _collect(opened: Any, where: str) -> str:
    opened.run_forever(timeout=EXEC_TIMEOUT_SECONDS)
    if opened.is_open():
        raise ClusterError(f"the command in {where} did not end within {EXEC_TIMEOUT_SECONDS} s")
    printed, complaint = opened.read_channel(websockets.STDOUT_CHANNEL), opened.read_channel(websockets.STDERR_CHANNEL)
    if printed:  # a command may say what is wrong, and end with the code that says so too
        return str(printed)
    result = yaml.safe_load(opened.read_channel(websockets.ERROR_CHANNEL) or "{}") or {}
    if result.get("status") != "Success":
        said = _shorten(complaint) or _shorten(result.get("message")) or "the connection was lost"
        raise ClusterError(f"the command in {where} failed: {said}")
    return ""


def _shorten(text: Any) -> str:
    """The end of a message, on one line: of a traceback it is the line that counts."""
    return " ".join(str(text or "").split())[-300:]
