"""A Secret that another client replaces between two requests of a replica: no replica loses its CA."""

import pytest

from injector.certs.ca_store import ROTATE_ANNOTATION, parse_secret
from injector.certs.state import RotationPolicy
from tests.unit.injector.certs.rotation_model import Cluster, Replica

START = 1_800_000_000.0
POLICY = RotationPolicy(frozenset({"podrole-injector.podrole-system.svc"}))
PROPAGATION = POLICY.lifetimes.propagation_seconds


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(POLICY, START)


def start_two(cluster: Cluster) -> tuple[Replica, Replica]:
    cluster.start_replica()
    cluster.start_replica()
    slow, fast = cluster.replicas
    return slow, fast


def read_configuration(replica: Replica) -> None:
    """Start a pass that stops before it reads the Secret."""
    replica.step()
    replica.step()


def rotate_ca(cluster: Cluster, replica: Replica) -> None:
    """Until the replica serves a certificate of the new CA."""
    document = cluster.secret.read()
    assert document
    document["metadata"]["annotations"] = {ROTATE_ANNOTATION: "ca"}
    cluster.replace_secret(document)
    before = replica.manager.serving_cert
    replica.run_pass()
    cluster.now += PROPAGATION
    replica.run_pass()
    assert replica.manager.serving_cert
    assert before
    assert replica.manager.serving_cert.issuer != before.issuer


def test_ca_published_after_a_replica_read_the_configuration_stays_when_it_replaces_the_secret(
    cluster: Cluster,
) -> None:
    slow, fast = start_two(cluster)
    fast.run_pass()
    slow.run_pass()
    read_configuration(slow)
    rotate_ca(cluster, fast)

    cluster.replace_secret(None)
    slow.run_pass()

    cluster.check_accepted()
    fast.run_pass()
    slow.run_pass()
    cluster.check_accepted()


def test_ca_of_a_secret_that_was_replaced_before_the_patch_is_not_published(cluster: Cluster) -> None:
    slow, fast = start_two(cluster)
    while fast.manager.serving_cert is None:  # of the Secret that it has written and read again
        fast.step()
    lost = parse_secret(cluster.secret.document).cas

    cluster.replace_secret(None)
    while not slow.manager.rotations:
        slow.step()
    fast.step()  # its next request is the patch

    assert not set(lost) & set(cluster.accepted_since)


def test_clock_that_jumps_before_a_new_ca_is_written_prevents_the_write(cluster: Cluster) -> None:
    replica, _ = start_two(cluster)
    before = cluster.configuration.version
    while cluster.configuration.version == before:
        replica.step()

    replica.set_clock_error(PROPAGATION + 1)
    replica.run_pass()

    assert cluster.secret.document is None
