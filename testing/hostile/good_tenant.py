"""An ordinary user, whose namespace has nothing to do with a hostile one: creates pods at a fixed rate.

Its pods go through the API server, which a hostile user keeps busy, too. So the webhook's own time is measured with
reviews that are sent to it directly.
"""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import NamedTuple, Self

import urllib3

from testing.admission import PATH, build_review
from testing.cluster.api import ApiServer, RefusedError
from testing.cluster.pods import OURS, build_pod, names_of

ADDRESS = "127.0.0.1"
WORKERS = 16
TIMEOUT_SECONDS = 10


class User(NamedTuple):
    """Somebody with permissions for one namespace."""

    api: ApiServer
    namespace: str


@dataclass
class Answers:
    """What happened to what was sent."""

    seconds: list[float] = field(default_factory=list)
    """From the moment when each was due."""

    refusals: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """Seconds."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[98]


def create_pod(user: User, *, dry_run: bool = True) -> str:
    """Create a pod; return why that failed."""
    try:
        pod = user.api.create(build_pod(), user.namespace, dry_run=dry_run).object
    except RefusedError as error:
        return str(error)
    return "" if names_of(pod, "initContainers") == OURS else "not injected"


class ReviewSender:
    """Sends reviews to the webhook as the API server does, on connections that stay open."""

    def __init__(self, port: int, ca: str, name: str) -> None:
        self._pool = urllib3.HTTPSConnectionPool(
            ADDRESS,
            port,
            maxsize=WORKERS,
            timeout=TIMEOUT_SECONDS,
            retries=False,
            ca_cert_data=ca,
            server_hostname=name,
            assert_hostname=name,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def send(self, user: User) -> str:
        """Send the review of an ordinary pod; return why it was not allowed."""
        pod = build_pod()
        review = build_review({**pod, "metadata": {**pod["metadata"], "namespace": user.namespace}})
        try:
            answer = self._pool.urlopen("POST", PATH, json.dumps(review))
        except urllib3.exceptions.HTTPError as error:
            return repr(error)
        is_allowed = answer.status == http.HTTPStatus.OK and json.loads(answer.data)["response"]["allowed"]
        return "" if is_allowed else answer.data.decode()


@contextmanager
def repeating(act: Callable[[], str], per_second: float) -> Iterator[Answers]:
    """Act until the block ends, whether or not earlier ones are answered. `act` returns why it was refused."""
    answers, stopping = Answers(), Event()

    def act_and_record(due: float) -> None:
        problem = act()
        answers.seconds.append(time.monotonic() - due)
        if problem:
            answers.refusals.append(problem)

    def run() -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(WORKERS) as pool:
            number = 0
            while not stopping.wait(max(0.0, began + number / per_second - time.monotonic())):
                pool.submit(act_and_record, began + number / per_second)
                number += 1

    thread = Thread(target=run)
    thread.start()
    try:
        yield answers
    finally:
        stopping.set()
        thread.join()
