"""Years of several replicas in any order, with lost races, crashes, sleeps and other people's hands in it."""

from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from injector.certs.ca_store import SECRET_KEYS, Document
from injector.certs.state import RotationPolicy
from injector.certs.x509 import DAY_SECONDS, Lifetimes, issue_ca
from injector.errors import ClusterError
from tests.unit.injector.certs.rotation_simulation import (
    Cluster,
    CrashError,
    Replica,
    build_empty_configuration,
    is_at_rest,
)

START = 1_800_000_000.0
POLICY = RotationPolicy(frozenset({"podrole-injector.podrole-system.svc"}))
FOREIGN = issue_ca(START, Lifetimes(ca_seconds=40 * 365 * DAY_SECONDS)).certificate.pem

YEARS = 8
STEPS_SECONDS = [1, 10, 120, 301, 3600, *(days * DAY_SECONDS for days in (1, 30, 61, 91, 7 * 365))]
INTERRUPTIONS = 12
"""What a number of the tape may mean for a request, most often nothing; see `interrupt`."""


def edit_secret(cluster: Cluster, change: Callable[[Document], None]) -> None:
    if (document := cluster.secret.read()) is not None:
        change(document)
        cluster.secret.force(document)


def ask_for(request: str) -> Callable[[Cluster], None]:
    def annotate(document: Document) -> None:
        document["metadata"]["annotations"] = {"podrole.io/rotate": request}

    def ask(cluster: Cluster) -> None:
        cluster.asked_to_drop |= request == "drop"
        edit_secret(cluster, annotate)

    return ask


def damage(key: str) -> Callable[[Cluster], None]:
    def cut(document: Document) -> None:
        data = document.get("data") or {}
        data[key] = data.get(key, "")[:100]

    return lambda cluster: edit_secret(cluster, cut)


def delete_secret(cluster: Cluster) -> None:
    cluster.secret.force(None)


def empty_secret(cluster: Cluster) -> None:
    edit_secret(cluster, lambda document: document.pop("data", None))


def wipe_ca_bundle(cluster: Cluster) -> None:
    cluster.configuration.force(build_empty_configuration())
    cluster.excuse_all()


def publish_foreign_bundle(cluster: Cluster) -> None:
    document = build_empty_configuration()
    document["webhooks"][1]["clientConfig"]["caBundle"] = b64encode(FOREIGN.encode()).decode()
    cluster.configuration.force(document)
    cluster.excuse_all()


def restore_backup(cluster: Cluster) -> None:
    """The Secret as it was when this was done last, all of it sound, and all of it out of date."""
    backup = getattr(cluster, "backup", None)
    cluster.__dict__["backup"] = cluster.secret.read()
    if backup is not None:
        cluster.secret.force(backup)
        cluster.is_restored = True
        if not all(replica.served for replica in cluster.replicas):
            cluster.excuse_all()


def restart_one(cluster: Cluster) -> None:
    cluster.replicas[0].restart()


HANDS = [
    *(ask_for(request) for request in ("ca", "leaf", "drop", "yes")),
    *(damage(key) for key in SECRET_KEYS),
    delete_secret,
    empty_secret,
    wipe_ca_bundle,
    publish_foreign_bundle,
    restore_backup,
    restart_one,
    restart_one,
]


def build_interrupt(tape: Iterator[int]) -> Callable[[Replica], None]:
    """Around each request, by the next number of the tape: others run, time passes, the request fails, a crash."""

    def interrupt(replica: Replica) -> None:
        cluster = replica.cluster
        match next(tape, 0) % INTERRUPTIONS:
            case 1 | 2 | 3:
                for other in [other for other in cluster.replicas if other is not replica]:
                    other.run()
            case 4:
                raise CrashError
            case 5:
                raise ClusterError("the API server does not answer")
            case 6:
                cluster.now += 5
            case 7:
                cluster.now += 20 * DAY_SECONDS
                cluster.has_slept = True
            case _:
                pass

    return interrupt


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    replicas=st.integers(1, 3),
    tape=st.lists(st.integers(0, INTERRUPTIONS - 1), max_size=60),
    history=st.lists(
        st.tuples(st.sampled_from(STEPS_SECONDS), st.lists(st.sampled_from(HANDS), max_size=3), st.booleans()),
        min_size=1,
        max_size=12,
    ),
)
def test_no_order_of_steps_serves_a_leaf_that_api_servers_do_not_accept(
    replicas: int, tape: list[int], history: list[tuple[float, list[Callable[[Cluster], None]], bool]]
) -> None:
    cluster = Cluster(POLICY, START, lambda _: None)
    for _ in range(replicas):
        cluster.start_replica().run()
    cluster.interrupt = build_interrupt(iter(tape))

    for seconds, hands, is_reversed in history:
        cluster.now += seconds
        for hand in hands:
            hand(cluster)
            cluster.note_published()
        present = list(cluster.replicas)
        for replica in reversed(present) if is_reversed else present:
            replica.run()

    cluster.interrupt = lambda _: None
    for _ in range(6):
        cluster.now += POLICY.lifetimes.propagation_seconds
        for replica in list(cluster.replicas):
            replica.run()
    assert is_at_rest(cluster)


@pytest.mark.parametrize("replicas", [1, 3])
def test_decades_pass_without_a_gap_and_nothing_piles_up(replicas: int) -> None:
    cluster = Cluster(POLICY, START, lambda _: None)
    for _ in range(replicas):
        cluster.start_replica()

    for _ in range(YEARS * 365 // 10):
        for seconds in (10 * DAY_SECONDS, 301):
            cluster.now += seconds
            for replica in cluster.replicas:
                replica.run()

    assert is_at_rest(cluster)
    assert len(cluster.shown_since) == 1
    assert YEARS * 365 / 70 < sum(replica.manager.rotations for replica in cluster.replicas) < YEARS * 365 / 60 + 10
