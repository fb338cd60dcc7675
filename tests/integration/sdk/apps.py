"""Runs the SDKs' programs in pods behind the real rules, and exchanges lines with them."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from contract.modes import Mode
from injector.value_types import ModePolicy
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case
from testing.demo_node import DemoNode
from testing.pods import Image, Node, Pod
from testing.pods.containers import RUNC
from testing.pods.namespaces import NamespaceProcess
from tests.integration.sdk.build import CACHE, Program

CALL_WITHIN_SECONDS = 120
"""Limit for any call on a busy machine. The table has the real limits."""

APPS = "/sdks"
RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
METADATA_ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

MODES = {"imds": Mode.REDIRECT, "ecs": Mode.REDIRECT, "env": Mode.ENV}
"""Way to the sidecar -> mode of the pod."""

SETTINGS = {"imds": ("-u", RELATIVE_URI), "ecs": (), "env": ()}
"""Arguments of `env` for an app. Without the variable, an SDK uses IMDS, as SDKs do that are older than it."""


@dataclass(frozen=True)
class CallResult:
    """A program's response to one line."""

    seconds: float
    """Duration of the call."""

    at: float
    """End of the call, on the monotonic clock."""

    arn: str = ""
    user_id: str = ""
    error: str = ""

    @property
    def access_key(self) -> str:
        """The key that signed the call."""
        return self.user_id.partition(":")[0]


class App:
    """A running program. It makes a call for each line on its input, and prints the result as a line of JSON."""

    def __init__(self, process: NamespaceProcess, log: Path) -> None:
        self._process = process
        self._log = log
        self._unread = b""
        self._version = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        assert self._process.stdout
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Close its input, so that it ends."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    @property
    def version(self) -> str:
        """The version of its SDK, which the program prints when it starts."""
        self._version = self._version or json.loads(self._read_line())["version"]
        return self._version

    def call(self, line: str = "") -> CallResult:
        """Let the program make a call."""
        assert self.version
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has crashed: the next read fails
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        begin = time.monotonic()
        result = json.loads(self._read_line())
        end = time.monotonic()
        return CallResult(end - begin, end, **result)

    def _read_line(self) -> str:
        assert self._process.stdout
        deadline = time.monotonic() + CALL_WITHIN_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                assert selector.select(deadline - time.monotonic()), f"{self._log.stem} hangs"
                piece = os.read(self._process.stdout.fileno(), 65536)
                assert piece, f"{self._log.stem} crashed with {self._process.wait(10)}: {self._log.read_text()}"
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()


def build_pod(name: str, mode: str, sts_url: str, identity_url: str) -> dict[str, Any]:
    """Build an injected pod with a role and an app that sleeps."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "annotations": {"iam.amazonaws.com/role": "reader"}},
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "image": "sdks",
                    "command": ["sleep", "3600"],
                    "env": [{"name": "AWS_ENDPOINT_URL", "value": identity_url}],
                }
            ]
        },
    }
    config = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=sts_url, mode=ModePolicy(mode))
    return Case(pod, ENABLED, UNANNOTATED).inject(config)


def build_image(demo_node: DemoNode, tools: Iterable[str]) -> Image:
    """Build the image of all SDKs' programs: the build results, and the folders where the languages are installed."""
    configurations = {str(path): path for path in Path("/etc").glob("java-*")}
    return demo_node.images["app"].with_binds({APPS: CACHE, **configurations, **find_prefixes(tools)})


def find_prefixes(tools: Iterable[str]) -> dict[str, str]:
    """The installation prefixes of programs outside of /usr. Relative paths are in the folder that was built."""
    real = [os.path.realpath(path) for path in tools if path.startswith("/")]
    prefixes = {str(Path(path).parents[1]) for path in real if not path.startswith(("/usr/", "/bin/"))}
    return {prefix: prefix for prefix in sorted(prefixes)}


def start_app(node: Node, pod: Pod, program: Program, settings: Sequence[str], log: Path) -> App:
    """Start an SDK's program in the pod's app container. Leaving the context ends it."""
    place = ["--cwd", f"{APPS}/{program.folder.name}", pod.container("app").identifier]
    command = [*RUNC, "exec", *place, "env", *settings, *program.argv]
    with log.open("wb") as errors:
        process = node.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    return App(process, log)
