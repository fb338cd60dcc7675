"""`python -m bench.hostile_tenant`: a hostile tenant beside a good one, for an hour.

A private API server, two replicas of the injector with the memory limit of their container, and the manifests of
kustomize/base. Exits with code 1 if a good pod is refused or late, or a replica is restarted.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore

from bench.hostile_actor import HostileTenant
from bench.hostile_operations import OPERATIONS
from bench.measure import MEBI, print_table
from testing.cluster.api import ApiServer, RefusedError, connect
from testing.cluster.manifests import Kubectl
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import OURS, build_pod, names_of
from testing.cluster.private import SCRIPTS, PrivateCluster, find_programs, private_cluster
from testing.cluster.rbac_users import create_user
from testing.hostile.good_tenant import Answers, User, repeating
from testing.hostile.installation import await_injection, install
from testing.hostile.replica import Replica

MAX_SECONDS = 2.0
"""How late a good pod may be."""

MAX_WAITING = 64
"""Operations that have not been answered. Beyond it the tenant waits: it would only measure the API server."""

THREADS = 16
PROGRESS_SECONDS = 10
TOKEN_SECONDS = 24 * 3600
RESOURCES = ["namespaces", "pods", "pods/ephemeralcontainers", "serviceaccounts"]
RULES = [{"apiGroups": [""], "resources": RESOURCES, "verbs": ["*"]}]


@dataclass
class Run:
    """One run."""

    cluster: PrivateCluster
    replicas: Sequence[Replica]
    good: User
    pods: Answers = field(default_factory=Answers)
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)

    def create_good_pod(self) -> str:
        """Create and delete an ordinary pod; return why it was refused."""
        name = f"good-{time.monotonic_ns()}"
        try:
            pod = self.good.api.create(build_pod(name=name), self.good.namespace).object
            self.good.api.delete("Pod", name, self.good.namespace)
        except RefusedError as error:
            return str(error)
        return "" if names_of(pod, "initContainers") == OURS else "not injected"

    def attack(self, tenant: HostileTenant, seconds: float, rate: float) -> None:
        """Act `rate` times a second, until the time is over."""
        began, sent = time.monotonic(), 0
        free = BoundedSemaphore(MAX_WAITING)

        def act() -> None:
            try:
                self.operations[tenant.act(OPERATIONS)] += 1
            except Exception as error:  # noqa: BLE001 - a lost connection to the API server, such as a timeout
                self.operations["any operation", type(error).__name__] += 1
            finally:
                free.release()

        with ThreadPoolExecutor(THREADS) as pool:
            next_progress = began + PROGRESS_SECONDS
            while (now := time.monotonic()) < began + seconds:
                free.acquire()
                pool.submit(act)
                sent += 1
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
                if now > next_progress:
                    self.print_progress(now - began)
                    next_progress += PROGRESS_SECONDS

    def print_progress(self, seconds: float) -> None:
        """One line on standard error."""
        usage = ", ".join(f"{replica.cgroup.usage_bytes / MEBI:.0f}" for replica in self.replicas)
        sys.stderr.write(
            f"{seconds:5.0f} s: {self.operations.total()} operations, {len(self.pods.seconds)} good pods "
            f"({len(self.pods.refusals)} refused, at most {max(self.pods.seconds, default=0):.2f} s), "
            f"memory {usage} MiB, etcd {self.read_etcd_bytes() / MEBI:.0f} MiB\n"
        )

    def read_etcd_bytes(self) -> float:
        """The size of etcd's database: https://etcd.io/docs/v3.5/metrics/."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.cluster.environ['ETCD_PORT']}/metrics") as response:
            lines = response.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("etcd_mvcc_db_total_size_in_bytes "))

    def find_broken_bounds(self) -> Iterator[str]:
        """Describe each bound that is broken."""
        for number, replica in enumerate(self.replicas):
            if replica.cgroup.oom_kills:
                yield f"replica {number}: {replica.cgroup.oom_kills} OOM kills"
            if not replica.is_ready():
                yield f"replica {number} is not ready"
            elif (starts := replica.read_metrics()["podrole_worker_starts_total"]) != 1:
                yield f"replica {number}: its worker was started {starts:.0f} times"
        for refusal in self.pods.refusals[:5]:
            yield f"a good pod was refused: {refusal[:300]}"
        if late := [seconds for seconds in self.pods.seconds if seconds > MAX_SECONDS]:
            yield f"{len(late)} good pods took more than {MAX_SECONDS} s"

    def print_summary(self) -> None:
        """Print what happened."""
        seconds = sorted(self.pods.seconds)
        rows: dict[str, object] = {
            f"good pods ({len(seconds)}): p50": f"{statistics.median(seconds):.3f} s",
            "p99": f"{statistics.quantiles(seconds, n=100, method='inclusive')[98]:.3f} s",
            "max": f"{seconds[-1]:.3f} s",
            "refused": len(self.pods.refusals),
        }
        for number, replica in enumerate(self.replicas):
            rows[f"replica {number}: peak memory"] = f"{replica.cgroup.peak_bytes / MEBI:.0f} MiB"
        rows["etcd"] = f"{self.read_etcd_bytes() / MEBI:.0f} MiB"
        print_table("good pods and replicas", rows)
        operations = {f"{name}: {answer}": count for (name, answer), count in sorted(self.operations.items())}
        print_table(f"the hostile tenant's {self.operations.total()} operations", operations)


@contextmanager
def prepare(directory: Path, seed: int) -> Iterator[tuple[Run, HostileTenant]]:
    """Start the cluster, the replicas and both tenants."""
    environ = {**os.environ, "APISERVER_EXTRA": "--audit-log-maxsize=100 --audit-log-maxbackup=2"}
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # all connections are to loopback
    with ExitStack() as stack:
        cluster = stack.enter_context(private_cluster(SCRIPTS, find_programs(environ), directory, environ))
        api = stack.enter_context(connect(str(cluster.kubeconfig)))
        kubectl = Kubectl("kubectl", str(cluster.kubeconfig), directory)
        installation = stack.enter_context(install(api, kubectl, directory))
        good, hostile = (make_user(stack, api, directory) for _ in range(2))
        replicas = stack.enter_context(installation.run(directory))
        await_injection(good.api, good.namespace)
        yield Run(cluster, replicas, good), HostileTenant(hostile, installation.port, random.Random(seed))  # noqa: S311 - nothing secret


def make_user(stack: ExitStack, api: ApiServer, directory: Path) -> User:
    """Create a namespace, and a user who may create pods in it."""
    namespace = stack.enter_context(Namespaces(api, {})).make()
    kubeconfig = create_user(api, namespace, RULES, directory, token_seconds=TOKEN_SECONDS)
    return User(stack.enter_context(connect(str(kubeconfig))), namespace)


def main() -> None:
    """Run, print the tables, and exit with 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description="A hostile tenant beside a good one.")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=float, default=20, help="operations of the hostile tenant in a second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves the blocks below, which end what they started
    with tempfile.TemporaryDirectory() as name, prepare(Path(name), options.seed) as (run, tenant):
        with repeating(run.create_good_pod, per_second=1) as run.pods:
            run.attack(tenant, options.seconds, options.rate)
        run.print_summary()
        broken = [*run.find_broken_bounds()]
    for line in broken:
        print(line)
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
