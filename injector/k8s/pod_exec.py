"""Runs a command in a container, as `kubectl exec` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from kubernetes.stream import ws_client
from websocket import WebSocketBadStatusException, WebSocketException, setdefaulttimeout

from injector.deadlines import EXEC_SECONDS
from injector.errors import ApiError, ClusterError, InvalidResponseError, UnreachableError
from injector.k8s.api_errors import build_api_error, build_unknown_failure, parse_status, translate_network_errors
from injector.k8s.client import ApiClient
from injector.k8s.request import build_path

MAX_MESSAGE_CHARACTERS = 300
MAX_OUTPUT_BYTES = 64 * 1024
"""Of all channels: a container of somebody else can print without end."""

websockets: Any = ws_client
"""The package has no type annotations."""


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container of a running pod."""

    namespace: str
    pod: str
    name: str

    @property
    def description(self) -> str:
        """The container's name in error messages."""
        return f"{self.namespace}/{self.pod}, container {self.name}"


def exec_command(client: ApiClient, container: RunningContainer, command: Sequence[str]) -> str:
    """Run a command and return its standard output. Raise ClusterError where it fails and prints nothing."""
    action = f"exec in {container.description}"
    query = {"container": container.name, "stdout": "true", "stderr": "true"}
    url = client.configuration.host + build_path("namespaces", container.namespace, "pods", container.pod, "exec")
    setdefaulttimeout(EXEC_SECONDS)  # the package has no other way to set it
    with translate_network_errors(action):
        try:
            # Not through the package's models, whose import takes a second.
            stream = websockets.WSClient(
                client.configuration,
                websockets.get_websocket_url(url, [*query.items(), *(("command", word) for word in command)]),
                client.auth_headers(),
                capture_all=False,
            )
            try:
                return _read_output(stream, container)
            finally:
                stream.sock.shutdown()  # its close() leaves the socket open after the server's close frame
        except WebSocketBadStatusException as error:
            raise _build_handshake_error(action, error) from error
        except WebSocketException as error:
            raise UnreachableError(f"cannot {action}: {error}") from error


def _build_handshake_error(action: str, error: Any) -> ApiError:
    """The error of the API server's Status, which names the user and the missing verb."""
    status = parse_status(error.resp_body or b"", error.status_code)
    if status is None:
        content_type = (error.resp_headers or {}).get("content-type")
        return build_unknown_failure(action, error.status_code, "the API server gave no reason", content_type)
    return build_api_error(action, status)


def _limit_output(stream: Any, container: RunningContainer) -> None:
    """Count the bytes of all frames: the package reads as long as there is one, and keeps everything."""
    receive, received = stream.sock.recv_data_frame, 0

    def receive_limited(*arguments: Any) -> Any:
        nonlocal received
        opcode, frame = receive(*arguments)
        received += len(frame.data)
        if received > MAX_OUTPUT_BYTES:
            raise ClusterError(f"the command in {container.description} printed more than {MAX_OUTPUT_BYTES} bytes")
        return opcode, frame

    stream.sock.recv_data_frame = receive_limited


def _read_output(stream: Any, container: RunningContainer) -> str:
    _limit_output(stream, container)
    stream.run_forever(timeout=EXEC_SECONDS)
    if stream.is_open():
        raise ClusterError(f"the command in {container.description} did not end within {EXEC_SECONDS} s")
    stdout, stderr = stream.read_channel(websockets.STDOUT_CHANNEL), stream.read_channel(websockets.STDERR_CHANNEL)
    if stdout:  # a command can print what is wrong, and exit with a code for the same reason
        return str(stdout)
    status = yaml.safe_load(stream.read_channel(websockets.ERROR_CHANNEL) or "{}") or {}
    if not isinstance(status, dict):
        raise InvalidResponseError(
            f"the command in {container.description} ended with {_shorten(status)!a} instead of a status"
        )
    if status.get("status") != "Success":
        message = _shorten(stderr) or _shorten(status.get("message")) or "the connection was lost"
        raise ClusterError(f"the command in {container.description} failed: {message}")
    return ""


def _shorten(text: Any) -> str:
    """The end of a message, on one line: the last line of a traceback is the one that matters."""
    return " ".join(str(text or "").split())[-MAX_MESSAGE_CHARACTERS:]
