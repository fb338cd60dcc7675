"""The pods in which all SDKs run at once. All programs of a scenario work at the same time: they mostly wait."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import contract
from contract.modes import Mode
from testing.demo_node import DemoNode
from testing.pods import NODE_IPV4, Image, Pod
from testing.services.programs import running
from tests.integration.sdk.apps import MODES, SETTINGS, App, CallResult, build_pod, start_app
from tests.integration.sdk.build import Program
from tests.integration.sdk.sts import build_program

SESSION_SECONDS = 170
"""Long enough for all programs to start, short enough to wait for the end."""

IDENTITY_PORT = 5001

CHANGE_WITHIN_SECONDS = 150
"""From a change at STS until the sidecar serves the result, on a busy machine."""

POLL_SECONDS = 1

READ_SERVED_KEY = str(Path(__file__).with_name("read_served_key.py"))
SIDECAR_URLS = {
    Mode.REDIRECT: "http://169.254.170.2",
    Mode.ENV: f"http://127.0.0.1:{contract.SIDECAR_PORT}",
}

Case = tuple[str, str]
"""Name of an SDK, and its way to the sidecar."""

T = TypeVar("T")
Outcomes = Mapping[Case, Future[T]]
"""A finished result per program; `result()` raises if the program crashed or hung."""


class StsScenario:
    """The pods of a scenario, one per mode, and the programs that run in them."""

    def __init__(self, pods: Mapping[str, Pod], apps: Mapping[Case, App]) -> None:
        self._pods = pods
        self._apps = apps

    def call(self) -> Outcomes[CallResult]:
        """Let every program make a call."""
        return self.each(lambda _, app: app.call())

    def each(self, work: Callable[[Case, App], T]) -> Outcomes[T]:
        """Run `work` for all programs at the same time, and wait for all of them."""
        with ThreadPoolExecutor(len(self._apps) or 1) as pool:
            return {case: pool.submit(work, case, app) for case, app in self._apps.items()}

    def versions(self) -> Outcomes[str]:
        """The version of each program's SDK."""
        return self.each(lambda _, app: app.version)

    def wait_for_key(self, is_reached: Callable[[str], bool]) -> None:
        """Wait until this is true of the access key that each sidecar serves, '' while it has none."""
        deadline = time.monotonic() + CHANGE_WITHIN_SECONDS
        while not all(map(is_reached, keys := self._fetch_served_keys())):
            if time.monotonic() > deadline:
                logs = "\n".join(pod.logs(contract.SIDECAR_CONTAINER) for pod in self._pods.values())
                raise AssertionError(f"the sidecars still serve {keys} after {CHANGE_WITHIN_SECONDS} s:\n{logs}")
            time.sleep(POLL_SECONDS)

    def _fetch_served_keys(self) -> list[str]:
        return [
            pod.network.run([sys.executable, READ_SERVED_KEY, build_credentials_url(mode, pod)]).stdout
            for mode, pod in self._pods.items()
        ]


@dataclass(frozen=True)
class SdkEnvironment:
    """Runs an STS, pods and programs on the node."""

    demo_node: DemoNode
    image: Image
    programs: Mapping[Case, Program]
    directory: Path
    """The folder for logs."""

    def sts(self, name: str, port: int, seconds: int = SESSION_SECONDS) -> AbstractContextManager[Any]:
        """Run an STS on the node. Its sessions last `seconds`; with 0 it denies every request."""
        program = build_program(name, (NODE_IPV4, port), seconds)
        return running(program, self.directory, self.demo_node.node.popen)

    @contextmanager
    def pods(self, name: str, sts_port: int) -> Iterator[Mapping[str, Pod]]:
        """Start the pods that the programs need, one per mode, with sidecars that use this STS."""
        with ExitStack() as stack:
            modes = dict.fromkeys(MODES[way] for _, way in self.programs)
            pods = {
                str(mode): stack.enter_context(self._create_pod(f"{name}-{mode}", mode, sts_port)) for mode in modes
            }
            for pod in pods.values():
                pod.start()
            yield pods

    @contextmanager
    def start_apps(self, pods: Mapping[str, Pod]) -> Iterator[StsScenario]:
        """Start all programs in these pods."""
        with ExitStack() as stack:
            apps = {case: stack.enter_context(self.start(case, pods)) for case in self.programs}
            yield StsScenario(pods, apps)
            for app in apps.values():
                app.end()  # end all of them before waiting for each

    @contextmanager
    def scenario(self, name: str, sts_port: int) -> Iterator[StsScenario]:
        """Start pods and all programs in them."""
        with self.pods(name, sts_port) as pods, self.start_apps(pods) as scenario:
            yield scenario

    def _create_pod(self, name: str, mode: str, sts_port: int) -> Pod:
        pod = build_pod(name, mode, build_url(sts_port), build_url(IDENTITY_PORT))
        return self.demo_node.create_pod(pod, {**self.demo_node.images, "sdks": self.image})

    def start(self, case: Case, pods: Mapping[str, Pod], settings: Sequence[str] = ()) -> App:
        """Start a program; `settings` are arguments of `env`, in addition to those of its way."""
        name, way = case
        pod = pods[MODES[way]]
        log = self.directory / f"{pod.manifest['metadata']['name']}-{name}-{way}.log"
        return start_app(self.demo_node.node, pod, self.programs[case], [*SETTINGS[way], *settings], log)


def build_credentials_url(mode: str, pod: Pod) -> str:
    """The URL of the container credentials of a pod."""
    return f"{SIDECAR_URLS[Mode(mode)]}{contract.CREDENTIALS_PATH}/{pod.manifest['metadata']['uid']}"


def build_url(port: int) -> str:
    """The URL of a service on the node."""
    return f"http://{NODE_IPV4}:{port}"
