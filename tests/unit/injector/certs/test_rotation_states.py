"""Rotation as a state machine: replicas, crashes, pauses, API errors and other clients' changes in any order.

The environment variable PODROLE_TEST_EXAMPLES sets how many orders are tried.
"""

import logging
import os
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from injector.certs.ca_store import REQUESTS, ROTATE_ANNOTATION, SECRET_KEYS, Document
from injector.certs.rotation import MAX_CAS
from injector.certs.state import RotationPolicy
from injector.certs.x509 import DAY_SECONDS, Lifetimes, issue_ca
from injector.errors import ClusterError
from testing.stored_object import build_empty_configuration
from tests.unit.injector.certs.rotation_model import Cluster, Replica
from tests.unit.injector.certs.stepped_call import CrashError

START = 1_800_000_000.0
POLICY = RotationPolicy(frozenset({"podrole-injector.podrole-system.svc"}))
FOREIGN_CA = issue_ca(START, Lifetimes(ca_seconds=40 * 365 * DAY_SECONDS)).certificate.pem
YEARS = 8
EXAMPLES = int(os.environ.get("PODROLE_TEST_EXAMPLES", "60"))

PAUSES = [1, 10, 120, 301, 3600, *(days * DAY_SECONDS for days in (1, 30, 61, 91, 7 * 365))]
CLOCK_ERRORS = [0, 200, -200, 301, 11 * 365 * DAY_SECONDS, -100 * DAY_SECONDS]
REPLICAS = st.integers(0, 2)
"""Which replica, modulo how many there are."""

DAMAGES = st.sampled_from(["deleted", "emptied", *SECRET_KEYS])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Disable the log, which would get every step of thousands of passes."""
    logger = logging.getLogger("podrole.certificates")
    logger.disabled = True
    yield
    logger.disabled = False


class RotationMachine(RuleBasedStateMachine):
    """Up to three replicas. The invariants are in `rotation_model`, which also checks them after each request."""

    cluster: Cluster
    backup: Document | None = None

    @initialize(replicas=st.integers(1, 3), sends_dates=st.booleans())
    def start(self, replicas: int, sends_dates: bool) -> None:  # noqa: FBT001 - Hypothesis passes it by name
        self.cluster = Cluster(POLICY, START, sends_dates=sends_dates)
        for _ in range(replicas):
            self.cluster.start_replica()
        for replica in self.cluster.replicas:
            replica.run_pass()

    def find(self, index: int) -> Replica:
        return self.cluster.replicas[index % len(self.cluster.replicas)]

    @rule(index=REPLICAS)
    def run_pass(self, index: int) -> None:
        self.find(index).run_pass()

    @rule(index=REPLICAS, requests=st.integers(1, 6))
    def run_part_of_pass(self, index: int, requests: int) -> None:
        replica = self.find(index)
        for _ in range(requests):
            if not replica.step():
                break

    @rule(index=REPLICAS, error=st.sampled_from([ClusterError, CrashError]))
    def request_fails_or_replica_restarts(self, index: int, error: type[BaseException]) -> None:
        self.find(index).step(error())

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        """Also while a replica is between two requests: to that replica it is a pause of its process."""
        self.cluster.now += seconds

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes_and_all_replicas_run(self, seconds: float) -> None:
        self.cluster.now += seconds
        for replica in list(self.cluster.replicas):
            replica.run_pass()

    @precondition(lambda self: self.cluster.sends_dates)
    @rule(index=REPLICAS, seconds=st.sampled_from(CLOCK_ERRORS))
    def clock_of_a_node_jumps(self, index: int, seconds: float) -> None:
        """Also between two requests of its replica."""
        self.find(index).set_clock_error(seconds)

    @rule(index=REPLICAS)
    def minutes_pass_and_one_replica_runs(self, index: int) -> None:
        """Replicas look at different times, but all of them within the propagation time."""
        self.cluster.now += POLICY.lifetimes.propagation_seconds // 2
        self.find(index).run_pass()

    @rule(request=st.sampled_from([*REQUESTS, "invalid"]))
    def user_requests_rotation(self, request: str) -> None:
        self.cluster.is_drop_requested |= request == "drop"
        self.edit_secret(lambda secret: secret["metadata"].update(annotations={ROTATE_ANNOTATION: request}))

    @rule(then=st.sampled_from(["", "drop"]))
    def ca_is_rotated(self, then: str) -> None:
        """A backup, then a whole rotation without other events, which random rules reach too rarely."""
        self.backup_is_made()
        self.user_requests_rotation("ca")
        for turn in range(8):
            self.minutes_pass_and_one_replica_runs(turn)
            if then:
                self.user_requests_rotation(then)

    @rule(damage=DAMAGES, index=st.none() | REPLICAS)
    def secret_is_damaged(self, damage: str, index: int | None) -> None:
        """With an index, a replica that has just started repairs it, without knowing what the others serve."""
        self.damage_secret(damage)
        if index is not None:
            self.find(index).step(CrashError())
            self.find(index).run_pass()

    @precondition(lambda self: len(self.cluster.accepted_since) < MAX_CAS // 2)
    @rule(index=REPLICAS, requests=st.integers(1, 8), damage=DAMAGES | st.just("restored"), then=DAMAGES | st.none())
    def replica_is_paused_while_the_others_rotate_and_the_secret_is_damaged(
        self, index: int, requests: int, damage: str, then: str | None
    ) -> None:
        """Then it continues with what it read before."""
        self.backup_is_made()
        if then is not None:
            self.damage_secret(then)
        self.run_part_of_pass(index, requests)
        paused = self.find(index)
        others = [replica for replica in self.cluster.replicas if replica is not paused]
        self.user_requests_rotation("ca")
        for turn in range(4 if others else 0):
            self.cluster.now += POLICY.lifetimes.propagation_seconds // 2
            others[turn % len(others)].run_pass()
        self.damage_secret(damage)
        paused.run_pass()

    @rule()
    def backup_is_made(self) -> None:
        self.backup = self.cluster.secret.read()

    @precondition(lambda self: self.backup is not None)
    @rule()
    def backup_is_restored(self) -> None:
        self.cluster.replace_secret(self.backup)

    @rule(second_bundle=st.sampled_from(["", FOREIGN_CA]))
    def configuration_is_replaced(self, second_bundle: str) -> None:
        """By a manifest that contains no caBundle, or that of another issuer in one webhook."""
        document = build_empty_configuration()
        document["webhooks"][1]["clientConfig"]["caBundle"] = b64encode(second_bundle.encode()).decode()
        self.cluster.replace_configuration(document)

    @invariant()
    def api_servers_accept_every_replica(self) -> None:
        self.cluster.check_accepted()

    def damage_secret(self, damage: str) -> None:
        match damage:
            case "deleted":
                self.cluster.replace_secret(None)
            case "restored":
                self.cluster.replace_secret(self.backup)
            case "emptied":
                self.edit_secret(lambda secret: secret.pop("data", None))
            case key:
                self.edit_secret(lambda secret: _truncate(secret, key))

    def edit_secret(self, change: Callable[[Document], None]) -> None:
        if (document := self.cluster.secret.read()) is not None:
            change(document)
            self.cluster.replace_secret(document)

    def teardown(self) -> None:
        """Without further events and with right clocks, half an hour of passes brings everything to rest."""
        for replica in self.cluster.replicas:
            replica.set_clock_error(0)
        for _ in range(6):
            self.cluster.now += POLICY.lifetimes.propagation_seconds
            for replica in list(self.cluster.replicas):
                replica.run_pass()
        self.cluster.check_at_rest()


def _truncate(secret: Document, key: str) -> None:
    data = secret.setdefault("data", {})
    data[key] = data.get(key, "")[:100]


def test_every_order_of_events_keeps_every_replica_accepted_and_ends_at_rest() -> None:
    run_state_machine_as_test(
        RotationMachine,
        settings=settings(
            deadline=None,
            max_examples=EXAMPLES,
            stateful_step_count=40,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("replicas", [1, 3])
def test_years_pass_without_a_gap_and_old_cas_do_not_accumulate(replicas: int) -> None:
    cluster = Cluster(POLICY, START)
    for _ in range(replicas):
        cluster.start_replica()

    for _ in range(YEARS * 365 // 10):
        for seconds in (10 * DAY_SECONDS, 301):
            cluster.now += seconds
            for replica in cluster.replicas:
                replica.run_pass()

    cluster.check_at_rest()
    assert len(cluster.accepted_since) == 1
    assert YEARS * 365 / 70 < sum(replica.manager.rotations for replica in cluster.replicas) < YEARS * 365 / 60 + 10
