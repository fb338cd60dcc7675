"""Good pods while somebody who reaches the webhook's port sends reviews that the cache cannot answer."""

import json
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPSConnection
from urllib.parse import urlsplit

import pytest

from testing.cases import build_review
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import READER, ROLE, build_pod
from tests.integration.api_server.webhooks import Injector

REVIEWS, ROUNDS = 250, 5


def unknown_namespace(_namespace: str) -> bytes:
    return build_review(f"unknown-{uuid.uuid4().hex}", "default")


def unknown_account(namespace: str) -> bytes:
    return build_review(namespace, f"unknown-{uuid.uuid4().hex}")


class Flood:
    """Connections that each send one review at a time."""

    def __init__(self, injector: Injector, stack: ExitStack) -> None:
        context = ssl.create_default_context(cafile=str(injector.certificates.ca))
        address = urlsplit(injector.url).netloc
        self._connections = [
            stack.enter_context(closing(HTTPSConnection(address, context=context, timeout=30))) for _ in range(REVIEWS)
        ]
        self.statuses: Counter[int] = Counter()

    @contextmanager
    def send(self, build: Callable[[], bytes]) -> Iterator[None]:
        """Send all reviews at once, run the block, and read the responses."""
        for connection in self._connections:
            connection.request("POST", "/mutate", build(), {"Content-Type": "application/json"})
        yield
        for connection in self._connections:
            response = connection.getresponse()
            response.read()
            self.statuses[response.status] += 1


def measure(create: Callable[[], object]) -> float:
    """How many seconds it takes."""
    began = time.monotonic()
    create()
    return time.monotonic() - began


@pytest.mark.parametrize("build", [unknown_namespace, unknown_account], ids=lambda build: build.__name__)
def test_good_pods_start_fast_while_reviews_of_unknown_objects_are_refused(
    api: ApiServer, injector: Injector, namespaces: Namespaces, build: Callable[[str], bytes]
) -> None:
    good, attacked = namespaces.make(), namespaces.make()

    def create_cached() -> None:
        api.create(build_pod(), good, dry_run=True)

    def create_with_new_account() -> None:
        name = f"worker-{uuid.uuid4().hex[:8]}"
        metadata = {"name": name, "annotations": ROLE}
        api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, good)
        created = api.create(build_pod({}, serviceAccountName=name), good, dry_run=True).object
        assert READER in json.dumps(created["spec"])

    cached, new = [], []
    with ExitStack() as stack:
        attack = Flood(injector, stack)
        for _ in range(ROUNDS):
            with attack.send(lambda: build(attacked)):
                new.append(measure(create_with_new_account))
            with attack.send(lambda: build(attacked)):
                cached += [measure(create_cached) for _ in range(10)]

    assert set(attack.statuses) <= {200, 429}
    assert sorted(cached)[len(cached) * 99 // 100 - 1] < 1
    assert max(new) < 2
