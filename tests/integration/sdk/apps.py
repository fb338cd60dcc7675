"""Runs the SDKs' programs in pods, behind the real rules, and talks to them line by line."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import contract
from testing.demo_node import DemoNode
from testing.pods import Image, Node, Pod
from testing.pods.containers import RUNC
from testing.pods.namespaces import NamespaceProcess
from tests.integration.sdk.build import CACHE, Program
from tests.unit.injector.cases import CONFIG, ENABLED, Case

ANSWER_WITHIN_SECONDS = 120
"""For a call of any program on a busy machine; how long a call may really take is the table's business."""

APPS = "/sdks"
RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
METADATA_ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

MODES = {"imds": contract.MODE_REDIRECT, "ecs": contract.MODE_REDIRECT, "env": contract.MODE_ENV}
"""Way to the sidecar -> mode of the pod."""

SETTINGS = {"imds": ("-u", RELATIVE_URI), "ecs": (), "env": ()}
"""What `env` changes for an app: on the first way it is led as one whose SDK is older than the variable."""


@dataclass(frozen=True)
class Said:
    """A program's answer to one line."""

    seconds: float
    """How long the call took."""

    at: float
    """When it was over, on the monotonic clock."""

    arn: str = ""
    user_id: str = ""
    error: str = ""

    @property
    def access_key(self) -> str:
        """The key that signed the call."""
        return self.user_id.partition(":")[0]


class App:
    """A running program: each line that it is sent is one call, and its answer one line of JSON."""

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
        """Let it end, by the end of its input."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    @property
    def version(self) -> str:
        """Of its SDK, as the program says when it has started."""
        self._version = self._version or json.loads(self._read_line())["version"]
        return self._version

    def ask(self, line: str = "") -> Said:
        """Let it make one call."""
        assert self.version
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has crashed, as the next read finds out
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        begin = time.monotonic()
        answer = json.loads(self._read_line())
        end = time.monotonic()
        return Said(end - begin, end, **answer)

    def _read_line(self) -> str:
        assert self._process.stdout
        deadline = time.monotonic() + ANSWER_WITHIN_SECONDS
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
    """A pod with a role and an app that waits, after the webhook's patch."""
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
    config = replace(CONFIG, sidecar_image="podrole-sidecar", sts_endpoint=sts_url, mode=mode)
    return Case(pod, ENABLED, None).inject(config)


def build_image(demo_node: DemoNode, tools: Iterable[str]) -> Image:
    """The image of all SDKs' programs: what was built, and where the languages' own programs are installed."""
    configurations = {str(path): path for path in Path("/etc").glob("java-*")}
    return demo_node.images["app"].with_binds({APPS: CACHE, **configurations, **find_prefixes(tools)})


def find_prefixes(tools: Iterable[str]) -> dict[str, str]:
    """Where programs are installed, as far as it is outside of /usr; relative ones are in the folder that was built."""
    real = [os.path.realpath(path) for path in tools if path.startswith("/")]
    prefixes = {str(Path(path).parents[1]) for path in real if not path.startswith(("/usr/", "/bin/"))}
    return {prefix: prefix for prefix in sorted(prefixes)}


def start_app(node: Node, pod: Pod, program: Program, settings: Sequence[str], log: Path) -> App:
    """Start an SDK's program in the container of the pod's app; leaving its context ends it."""
    place = ["--cwd", f"{APPS}/{program.folder.name}", pod.container("app").identifier]
    command = [*RUNC, "exec", *place, "env", *settings, *program.argv]
    with log.open("wb") as complaints:
        process = node.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints)
    return App(process, log)
