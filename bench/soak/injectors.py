"""Two replicas of the injector, a real API server, good pods, and their faults."""

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import yaml

from bench.soak.child import WARM_UP_SECONDS, Child, few_descriptors, hold_connections, pause
from bench.soak.proxy import CuttingProxy
from bench.soak.repeat import Faults, repeating
from bench.soak.shifted_clock import CLOCK_VARIABLE, write_shift
from bench.soak.tally import Interruption, Tally
from bench.soak.usage import Samples
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, connect
from testing.cluster.manifests import Kubectl
from testing.cluster.namespaces import Namespaces
from testing.cluster.private import SCRIPTS, PrivateCluster, find_programs, private_cluster
from testing.hostile.good_tenant import User, create_pod
from testing.hostile.installation import NAMESPACE, READY_WITHIN_SECONDS, Installation, await_injection, install
from testing.hostile.replica import ADDRESS, Replica, read_memory_limit
from testing.memory_cgroup import memory_cgroup

SECRET = "podrole-injector-certs"  # noqa: S105 - a name
POD_PAUSE_SECONDS, EVENT_PAUSE_SECONDS = 0.4, 0.2
MAX_SHIFT_SECONDS = 240
ACCOUNTS = 50
SETTLE_SECONDS = 0.5
"""A connection that was closed with its process can fail a request this much later."""


class SoakReplica:
    """A replica of the injector behind a proxy to the API server, in a cgroup with its container's memory limit."""

    def __init__(self, directory: Path, installation: Installation, first_port: int, stack: ExitStack) -> None:
        directory.mkdir()
        self.name = directory.name.replace("-", " ")
        self.proxy = CuttingProxy(urlsplit(installation.api.host).port or 0)
        stack.callback(self.proxy.close)
        self.clock = directory / "clock"
        write_shift(self.clock, 0)
        self.probe = Replica(directory, {}, stack.enter_context(memory_cgroup(read_memory_limit())), first_port)
        environ = {
            **ENVIRON,
            **installation.settings,
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(self._lead_to_proxy(Path(installation.settings["KUBECONFIG"]), directory)),
            "PODROLE_WEBHOOK_HOST": ADDRESS,
            "PODROLE_WEBHOOK_PORT": str(self.probe.webhook_port),
            "PODROLE_HEALTH_PORT": str(self.probe.health_port),
            CLOCK_VARIABLE: str(self.clock),
        }
        argv = self.probe.cgroup.enter((sys.executable, "-m", "bench.soak.shifted_clock", "injector"))
        self.child = Child(self.name, argv, environ)
        stack.callback(self.child.close)

    def _lead_to_proxy(self, kubeconfig: Path, directory: Path) -> Path:
        document = yaml.safe_load(kubeconfig.read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://{ADDRESS}:{self.proxy.port}"
        changed = directory / "kubeconfig"
        changed.write_text(yaml.safe_dump(document))
        return changed

    def find_worker(self) -> int:
        """The pid of the worker, or of the arbiter while there is none."""
        return next((process.pid for process in self.child.find_children()), self.child.pid)

    def await_ready(self) -> str:
        """Wait until it is ready; return a problem."""
        try:
            self.probe.await_ready(READY_WITHIN_SECONDS)
        except AssertionError:
            return (
                f"{self.name} is not ready within {READY_WITHIN_SECONDS} s: {' / '.join(list(self.child.lines)[-5:])}"
            )
        return ""


class GoodPods:
    """Creates pods through the webhook, as an ordinary user."""

    def __init__(self, user: User, tally: Tally, interruption: Interruption) -> None:
        self._user, self._tally, self._interruption = user, tally, interruption

    def send(self) -> None:
        """Create a pod in a dry run, which is admitted as any other, and count the outcome."""
        if self._interruption.is_on:
            return
        began = time.monotonic()
        try:
            problem = create_pod(self._user)
        except Exception as error:  # noqa: BLE001 - a lost connection to the API server
            problem = repr(error)
        if not problem:
            self._tally.record_good("good pods", time.monotonic() - began)
        elif self._interruption.covers(began):
            self._tally.record_cut("good pods")
        else:
            self._tally.record_lost("good pods", f"{problem} after {time.monotonic() - began:.2f} s")


class Changes:
    """Changes ServiceAccounts and a namespace: each is an event of the replicas' watches."""

    def __init__(self, api: ApiServer, namespace: str, tally: Tally) -> None:
        self._api, self._namespace, self._tally = api, namespace, tally
        self._numbers = itertools.count()

    def change(self) -> None:
        """Create, change or delete one object."""
        number = next(self._numbers)
        name, turn = f"account-{number % ACCOUNTS}", number // ACCOUNTS % 3
        metadata = {"name": name, "annotations": {"podrole.io/allowed-roles": f"reader-{number}"}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        with suppress(RefusedError, Exception):  # the API server may be down
            if turn == 0:
                self._api.create(account, self._namespace)
            elif turn == 1:
                self._api.patch(("ServiceAccount", name), {"metadata": metadata}, namespace=self._namespace)
            else:
                self._api.delete("ServiceAccount", name, self._namespace)
            self._tally.record_fault("cluster: changed object")


class Stage(NamedTuple):
    """What the faults of the cluster act on."""

    cluster: PrivateCluster
    api: ApiServer
    pods: Interruption
    replicas: tuple[SoakReplica, SoakReplica]
    """The second one can be ended."""


class ClusterFaults(Faults):
    """One fault of the cluster at a time: one replica can always answer."""

    def __init__(self, stage: Stage, tally: Tally, seed: str, stopping: threading.Event) -> None:
        super().__init__("injector", seed, tally, stopping)
        self._cluster, self._api, self._pods, self._both = stage
        _, self._ended = stage.replicas
        self._kinds: dict[str, tuple[Callable[[], None], float]] = {
            "watches cut": (self._cut, 4),
            "API server stalls": (self._stall, 1),
            "SIGSTOP, SIGCONT of a worker": (self._pause, 2),
            "idle connections": (self._hold, 1),
            "no file descriptors": (self._take_descriptors, 1),
            "unread log": (self._leave_log, 1),
            "clock jump": (self._jump, 1),
            "SIGKILL of a worker": (self._kill_worker, 1),
            "SIGKILL of an arbiter": (lambda: self._restart(signal.SIGKILL), 0.5),
            "SIGTERM and restart": (lambda: self._restart(signal.SIGTERM), 0.5),
            "API server restart": (self._restart_api_server, 0.3),
            "certificate rotated": (lambda: self._rotate("leaf"), 1),
            "CA rotated": (lambda: self._rotate("ca"), 0.5),
        }

    def act_once(self) -> None:
        """One fault."""
        self.act(self._kinds)

    def _any(self) -> SoakReplica:
        return self.random.choice(self._both)

    def _cut(self) -> None:
        replica = self._any()
        for _ in range(self.random.randint(1, 5)):
            replica.proxy.cut()
            time.sleep(self.random.uniform(0.1, 1))

    def _stall(self) -> None:
        with self._any().proxy.stalled():
            time.sleep(self.random.uniform(0.5, 5))

    def _pause(self) -> None:
        pause(self._any().find_worker(), self.random.uniform(0.2, 3))

    def _hold(self) -> None:
        hold_connections(self._any().probe.webhook_port, self.random.uniform(0.5, 3))

    def _take_descriptors(self) -> None:
        replica = self._any()
        with few_descriptors(replica.find_worker()):
            hold_connections(replica.probe.webhook_port, self.random.uniform(0.5, 2), 20)

    def _leave_log(self) -> None:
        replica = self._any()
        with replica.child.unread_log():
            for _ in range(10):
                replica.proxy.cut()  # each is logged
                time.sleep(self.random.uniform(0.2, 2))

    def _jump(self) -> None:
        write_shift(self._ended.clock, self.random.uniform(-MAX_SHIFT_SECONDS, MAX_SHIFT_SECONDS))
        time.sleep(self.random.uniform(1, 5))
        write_shift(self._ended.clock, 0)

    def _kill_worker(self) -> None:
        with self._pods.lasting():
            os.kill(self._ended.find_worker(), signal.SIGKILL)
            time.sleep(SETTLE_SECONDS)
        self._await_ready(self._ended)

    def _restart(self, number: signal.Signals) -> None:
        with self._pods.lasting() if number == signal.SIGKILL else nullcontext():
            workers = self._ended.child.find_children()
            if problem := self._ended.child.end(number):
                self._tally.record_lost(self._ended.name, problem)
            if number == signal.SIGKILL:  # the worker ends by itself, but its port must be free
                psutil.wait_procs(workers, timeout=20)
            time.sleep(SETTLE_SECONDS)
        self._ended.child.start()
        self._await_ready(self._ended)

    def _restart_api_server(self) -> None:
        with self._pods.lasting():
            self._cluster.stop_api_server()
            time.sleep(self.random.uniform(0, 5))
            self._cluster.start()
        for replica in self._both:
            self._await_ready(replica)

    def _rotate(self, what: str) -> None:
        path = f"{self._api.host}/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}"
        body = f'{{"metadata": {{"annotations": {{"podrole.io/rotate": "{what}"}}}}}}'
        headers = {"Content-Type": "application/merge-patch+json"}
        status = self._api.request("PATCH", path, body=body, headers=headers, timeout=30).status
        if status != 200:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"the annotation got status {status}")

    def _await_ready(self, replica: SoakReplica) -> None:
        if problem := replica.await_ready():
            self._tally.record_lost(replica.name, problem)


@contextmanager
def running_injectors(
    directory: Path, tally: Tally, seed: str, stopping: threading.Event
) -> Iterator[list[tuple[Samples, Callable[[], int]]]]:
    """Run an API server, a replica that lives from the beginning to the end, and one that is ended and restarted."""
    environ = {**os.environ, "APISERVER_EXTRA": "--audit-log-maxsize=100 --audit-log-maxbackup=2"}
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # all connections are to loopback
    with ExitStack() as stack:
        data = directory / "cluster"
        data.mkdir()
        cluster = stack.enter_context(private_cluster(SCRIPTS, find_programs(environ), data, environ))
        api = stack.enter_context(connect(str(cluster.kubeconfig)))
        kubectl = Kubectl("kubectl", str(cluster.kubeconfig), directory)
        installation = stack.enter_context(install(api, kubectl, directory))
        good, changed = (stack.enter_context(Namespaces(api, {})).make() for _ in range(2))
        kept, ended = (
            SoakReplica(directory / name, installation, port, stack)
            for name, port in zip(("replica", "restarted-replica"), installation.first_ports, strict=True)
        )
        for replica in (kept, ended):
            replica.child.start()
            if problem := replica.await_ready():
                raise RuntimeError(problem)
            hold_connections(replica.probe.webhook_port, WARM_UP_SECONDS)
        await_injection(api, good)
        pods = Interruption()
        faults = ClusterFaults(Stage(cluster, api, pods, (kept, ended)), tally, f"{seed} injector", stopping)
        stack.enter_context(repeating(GoodPods(User(api, good), tally, pods).send, stopping, lambda: POD_PAUSE_SECONDS))
        changes = Changes(api, changed, tally)
        stack.enter_context(repeating(changes.change, stopping, lambda: EVENT_PAUSE_SECONDS))
        stack.enter_context(repeating(faults.act_once, stopping, faults.draw_pause))
        yield [
            (Samples("injector's arbiter"), kept.child.find_pid),
            (Samples("injector's worker"), kept.find_worker),
        ]
