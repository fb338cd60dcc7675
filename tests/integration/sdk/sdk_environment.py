"""The pods in which all SDKs run at once, one scene for each state that STS can be in.

All programs of a scene work at the same time: most of what they do is waiting.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import contract
from testing.demo_node import DemoNode
from testing.pods import NODE_IPV4, Image, Pod
from testing.services.programs import running
from tests.integration.sdk.apps import MODES, SETTINGS, App, Said, build_pod, start_app
from tests.integration.sdk.build import Program
from tests.integration.sdk.sts import build_program

SHORT_SESSION_SECONDS = 125
"""The sidecar serves what has more than 60 s left, and refreshes after 60 s at the earliest: this leaves no gap."""

SESSION_SECONDS = 170
"""Long enough for all programs to start, short enough to see the end of it."""

IDENTITY_PORT = 5001

CHANGE_WITHIN_SECONDS = 150
"""From a change at STS until the sidecar hands out what follows from it, on a busy machine."""

POLL_SECONDS = 1

SERVED = str(Path(__file__).with_name("served.py"))
CREDENTIALS_URLS = {
    contract.MODE_REDIRECT: f"http://169.254.170.2{contract.CREDENTIALS_PATH}",
    contract.MODE_ENV: f"http://127.0.0.1:{contract.SIDECAR_PORT}{contract.CREDENTIALS_PATH}",
}

Case = tuple[str, str]
"""Name of an SDK, and way to the sidecar."""

T = TypeVar("T")
Outcomes = Mapping[Case, Future[T]]
"""What came of each program; `result()` raises for one that crashed or hung."""


class StsScenario:
    """The pods of one state of STS, one a mode, and all programs running in them."""

    def __init__(self, pods: Mapping[str, Pod], apps: Mapping[Case, App]) -> None:
        self._pods = pods
        self._apps = apps

    def ask(self) -> Outcomes[Said]:
        """Let every program make one call."""
        return self.each(lambda _, app: app.ask())

    def each(self, work: Callable[[Case, App], T]) -> Outcomes[T]:
        """Do something with all programs at the same time; return when all is done."""
        with ThreadPoolExecutor(len(self._apps) or 1) as pool:
            return {case: pool.submit(work, case, app) for case, app in self._apps.items()}

    def version(self, case: Case) -> str:
        """Of a program's SDK."""
        return self._apps[case].version

    def wait_for(self, is_reached: Callable[[str], bool]) -> None:
        """Wait until this holds for the access key that each sidecar hands out, which is empty while it has none."""
        deadline = time.monotonic() + CHANGE_WITHIN_SECONDS
        while not all(map(is_reached, keys := self._fetch_served_keys())):
            if time.monotonic() > deadline:
                logs = "\n".join(pod.logs(contract.SIDECAR_CONTAINER) for pod in self._pods.values())
                raise AssertionError(f"the sidecars still hand out {keys} after {CHANGE_WITHIN_SECONDS} s:\n{logs}")
            time.sleep(POLL_SECONDS)

    def _fetch_served_keys(self) -> list[str]:
        return [
            pod.network.run([sys.executable, SERVED, CREDENTIALS_URLS[mode]]).stdout for mode, pod in self._pods.items()
        ]


@dataclass(frozen=True)
class SdkEnvironment:
    """Makes scenes on the node."""

    demo_node: DemoNode
    image: Image
    programs: Mapping[Case, Program]
    directory: Path
    """For logs."""

    def sts(self, name: str, port: int, seconds: int = SESSION_SECONDS) -> AbstractContextManager[Any]:
        """Run an STS on the node, with sessions of so many seconds; 0: it refuses."""
        program = build_program(name, (NODE_IPV4, port), seconds)
        return running(program, self.directory, self.demo_node.node.popen)

    @contextmanager
    def pods(self, name: str, sts_port: int) -> Iterator[Mapping[str, Pod]]:
        """Start the pods that the programs need, by mode, with sidecars that ask this STS."""
        with ExitStack() as stack:
            modes = dict.fromkeys(MODES[way] for _, way in self.programs)
            pods = {mode: stack.enter_context(self._place(f"{name}-{mode}", mode, sts_port)) for mode in modes}
            for pod in pods.values():
                pod.start()
            yield pods

    @contextmanager
    def scene(self, pods: Mapping[str, Pod]) -> Iterator[StsScenario]:
        """Start all programs in these pods."""
        with ExitStack() as stack:
            apps = {case: stack.enter_context(self.start(case, pods)) for case in self.programs}
            yield StsScenario(pods, apps)
            for app in apps.values():
                app.end()  # all at once, before each is waited for

    @contextmanager
    def play(self, name: str, sts_port: int) -> Iterator[StsScenario]:
        """Start pods, and all programs in them."""
        with self.pods(name, sts_port) as pods, self.scene(pods) as scene:
            yield scene

    def _place(self, name: str, mode: str, sts_port: int) -> Pod:
        pod = build_pod(name, mode, build_url(sts_port), build_url(IDENTITY_PORT))
        return self.demo_node.create_pod(pod, {**self.demo_node.images, "sdks": self.image})

    def start(self, case: Case, pods: Mapping[str, Pod], settings: Sequence[str] = ()) -> App:
        """Start a program; `settings` as `env` takes them, beyond those of its way."""
        name, way = case
        pod = pods[MODES[way]]
        log = self.directory / f"{pod.manifest['metadata']['name']}-{name}-{way}.log"
        return start_app(self.demo_node.node, pod, self.programs[case], [*SETTINGS[way], *settings], log)


def build_url(port: int) -> str:
    """Of a service on the node."""
    return f"http://{NODE_IPV4}:{port}"
