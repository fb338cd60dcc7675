"""ServiceAccounts that fill the memory of whoever lists all of them, or that change all the time."""

import itertools
import logging
import time
from collections.abc import Callable

import pytest

from testing.cluster.namespaces import Namespaces
from testing.hostile.good_tenant import User
from testing.hostile.installation import Installation, await_injection
from testing.hostile.objects import ACCOUNTS, LARGEST_ANNOTATIONS, build_account
from testing.hostile.replica import Replica
from tests.integration.api_server.hostile.bounds import MIB, attack, holding, read_state

LOG = logging.getLogger(__name__)
ENABLED = {"labels": {"podrole.io/injection": "enabled"}}
READY_WITHIN_SECONDS = 30
FLOOD_SECONDS = 5.0


@pytest.mark.parametrize("kind", ACCOUNTS)
def test_restarted_injector_becomes_ready_in_a_cluster_with_accounts_with(
    installation: Installation, replicas: list[Replica], good: User, namespaces: Namespaces, kind: str
) -> None:
    namespace, (count, build) = namespaces.make(labels={}), ACCOUNTS[kind]
    refusals = attack([lambda n=n: installation.api.create(build(n), namespace) for n in range(count)])  # type: ignore[misc]
    assert refusals == []

    before = [replica.cgroup.oom_kills for replica in replicas]
    for replica in replicas:
        replica.stop()
        replica.start()
        seconds = replica.await_ready(READY_WITHIN_SECONDS)
        LOG.info("ready after %.1f s, peak memory so far %.0f MiB", seconds, replica.cgroup.peak_bytes / MIB)

    assert [replica.cgroup.oom_kills for replica in replicas] == before
    assert [read_state(replica).worker_starts for replica in replicas] == [1, 1]
    await_injection(good.api, good.namespace)


def test_other_pods_are_created_in_time_while_a_large_account_changes_all_the_time(
    installation: Installation, replicas: list[Replica], good: User, hostile: User
) -> None:
    hostile.api.create(build_account("flood"), hostile.namespace)

    with holding(good, replicas, installation):
        deadline = time.monotonic() + FLOOD_SECONDS
        changes = itertools.count()

        def change() -> None:
            while time.monotonic() < deadline:
                value = str(next(changes)) + "a" * (LARGEST_ANNOTATIONS - 100)
                metadata = {"annotations": {"example.com/notes": value}}
                hostile.api.patch(("ServiceAccount", "flood"), {"metadata": metadata}, hostile.namespace)

        assert attack([change] * 4) == []
    LOG.info("%.0f changes a second", next(changes) / FLOOD_SECONDS)


def test_other_pods_are_created_in_time_while_a_namespace_is_labelled_again_and_again(
    installation: Installation, replicas: list[Replica], good: User, hostile: User
) -> None:
    deadline = time.monotonic() + FLOOD_SECONDS

    def relabel(value: str | None) -> Callable[[], None]:
        def change() -> None:
            while time.monotonic() < deadline:
                labels = {"labels": {"podrole.io/injection": value}}
                hostile.api.patch(("Namespace", hostile.namespace), {"metadata": labels})

        return change

    try:
        with holding(good, replicas, installation):
            assert attack([relabel("enabled"), relabel(None)]) == []
    finally:
        hostile.api.patch(("Namespace", hostile.namespace), {"metadata": ENABLED})
