"""What must hold while somebody attacks: ordinary pods are created in time, and no replica is restarted."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from urllib3.exceptions import HTTPError

from testing.cluster.api import RefusedError
from testing.hostile.good_tenant import User, create_pod, repeating
from testing.hostile.installation import Installation
from testing.hostile.replica import Replica

LOG = logging.getLogger(__name__)
MIB = 1024 * 1024
P99_SECONDS = 1.0
MIN_SECONDS = 2.0
REVIEWS_PER_SECOND, PODS_PER_SECOND = 50.0, 5.0
MAX_LOG_LINE_BYTES = 2048
MAX_MESSAGE_BYTES = 5 * 1024
"""4 KiB of the injector's, and what the API server puts before it."""

OURS = 'admission webhook "pods.podrole.io" denied the request'
NO_ANSWER = ("context deadline exceeded", "EOF", "connection refused", "connection reset", "certificate")
"""Parts of the API server's message when the webhook did not answer."""


class State(NamedTuple):
    """Of one replica."""

    oom_kills: int
    worker_starts: float


def read_state(replica: Replica) -> State:
    """The state now."""
    metrics = replica.read_metrics()
    return State(replica.cgroup.oom_kills, metrics["podrole_worker_starts_total"])


@contextmanager
def holding(good: User, replicas: Sequence[Replica], installation: Installation) -> Iterator[None]:
    """Create good pods until the block ends, for some seconds at least; fail if a bound is broken."""
    before = [read_state(replica) for replica in replicas]
    logged = [len(replica.log) for replica in replicas]
    began = time.monotonic()
    with (
        installation.send_reviews() as sender,
        repeating(lambda: sender.send(good), REVIEWS_PER_SECOND) as reviews,
        repeating(lambda: create_pod(good), PODS_PER_SECOND) as pods,
    ):
        yield
        time.sleep(max(0.0, began + MIN_SECONDS - time.monotonic()))
    peaks = ", ".join(f"{replica.cgroup.peak_bytes / MIB:.0f}" for replica in replicas)
    LOG.info(
        "%d reviews: p99 %.2f s; %d pods: p99 %.2f s; peak memory so far %s MiB",
        len(reviews.seconds),
        reviews.p99,
        len(pods.seconds),
        pods.p99,
        peaks,
    )
    after = [read_state(replica) for replica in replicas]
    assert after == before
    assert (reviews.refusals, pods.refusals) == ([], [])
    assert reviews.p99 < P99_SECONDS
    lines = [line for replica, start in zip(replicas, logged, strict=True) for line in replica.log[start:].splitlines()]
    assert [line[:500] for line in lines if len(line.encode()) > MAX_LOG_LINE_BYTES] == []


def attack(actions: Sequence[Callable[[], object]], at_once: int = 4) -> list[str]:
    """Run the actions, some at once; return the API server's message for each that it refused."""

    def run(action: Callable[[], object]) -> str:
        try:
            action()
        except RefusedError as error:
            return str(error)
        except HTTPError as error:  # the API server itself is busy with such an object for longer than we wait
            return type(error).__name__
        return ""

    with ThreadPoolExecutor(at_once) as pool:
        return [message for message in pool.map(run, actions) if message]


def check_answers(messages: Sequence[str]) -> None:
    """Whoever attacks gets an answer, too, and a short one. What the API server refuses itself can be long."""
    assert [message[-300:] for message in messages if any(part in message for part in NO_ANSWER)] == []
    ours = [message for message in messages if message.startswith(OURS)]
    assert max((len(message.encode()) for message in ours), default=0) <= MAX_MESSAGE_BYTES
