"""Two replicas start at once, and other clients damage their objects: replicas repair them, no handshake fails."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from injector.certs.ca_store import SecretState
from injector.certs.x509 import Lifetimes, issue_ca
from testing.cluster.api import ApiServer, wait_for
from tests.integration.api_server.certificates.installation import (
    PERIOD_SECONDS,
    REPAIR_SECONDS,
    SECRET,
    Installation,
    await_rest,
    installed,
    is_accepted,
)
from tests.integration.api_server.certificates.replica import Replica


@pytest.fixture(scope="module")
def installation(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(api, tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture(scope="module")
def replicas(installation: Installation) -> list[Replica]:
    """Two replicas that start at once with an empty Secret, before their webhooks exist."""
    started = [installation.start_replica(), installation.start_replica()]
    ports = [replica.port for replica in started]
    assert not any(replica.status()["is_ready"] for replica in started)
    installation.register(ports)
    await_rest(installation, started)
    return started


def test_two_replicas_that_start_at_once_share_one_certificate(
    installation: Installation, replicas: list[Replica]
) -> None:
    secret = await_rest(installation, replicas)

    installation.create_pod()

    assert len(secret.cas) == 1
    assert secret.problems == ()
    assert secret.pair
    for replica in replicas:
        assert replica.status()["is_ready"]
        assert replica.status()["certificate_not_after"] == secret.pair.certificate.not_after
    assert sum(replica.status()["rotations"] for replica in replicas) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda installation: (
            installation.send("DELETE", installation.secret_path)
            and installation.send("POST", installation.secret_path.rsplit("/", 1)[0], {"metadata": {"name": SECRET}})
        ),
        lambda installation: installation.edit_secret(ca_crt=None, ca_key=None, tls_crt=None, tls_key=None),
        lambda installation: installation.edit_secret(ca_key="rubbish"),
        lambda installation: installation.edit_secret(ca_crt="rubbish"),
        lambda installation: installation.edit_secret(tls_key="rubbish"),
        lambda installation: installation.edit_secret(tls_key=name_another_curve(installation)),
        lambda installation: installation.edit_secret(tls_crt=issue_ca(time.time(), Lifetimes()).certificate.pem),
    ],
    ids=["deleted", "emptied", "ca-key", "ca-crt", "tls-key", "one-byte-of-tls-key", "other-tls-crt"],
)
def test_damaged_secret_is_repaired_without_a_failed_handshake(
    installation: Installation, replicas: list[Replica], damage: Callable[[Installation], object]
) -> None:
    await_rest(installation, replicas)
    damage(installation)

    while not is_sound(installation.secret()):
        installation.create_pod()
        time.sleep(0.05)
    for _ in range(40):
        installation.create_pod()
        time.sleep(0.05)

    secret = await_rest(installation, replicas)
    assert secret.problems == ()
    assert secret.ca
    assert not any("a connection failed" in replica.log for replica in replicas)


def name_another_curve(installation: Installation) -> str:
    """The key of the Secret with one byte changed: it names the curve prime239v3, which no library supports."""
    pair = installation.secret().pair
    assert pair
    assert "AwEHBG0w" in pair.key_pem
    return pair.key_pem.replace("AwEHBG0w", "AwEGBG0w")


def is_sound(secret: SecretState) -> bool:
    return secret.problems == () and secret.ca is not None and secret.find_issuer(secret.pair) is not None


@pytest.mark.parametrize("bundle", [None, issue_ca(time.time(), Lifetimes()).certificate.pem], ids=["empty", "foreign"])
def test_overwritten_ca_bundle_is_repaired_in_about_a_second(
    installation: Installation, replicas: list[Replica], bundle: str | None
) -> None:
    await_rest(installation, replicas)
    time.sleep(2)  # so that the minimum interval between two reconciliations is over
    started = time.monotonic()
    installation.overwrite_bundles(bundle)

    wait_for("the bundle is back", lambda: installation.bundles() not in ({bundle}, {""}), REPAIR_SECONDS)

    assert time.monotonic() - started < PERIOD_SECONDS, "noticed by polling instead of the watch"
    await_rest(installation, replicas)


def test_pods_are_denied_while_somebody_writes_a_wrong_ca_bundle_and_accepted_after_it(
    installation: Installation, replicas: list[Replica]
) -> None:
    await_rest(installation, replicas)
    wrong = issue_ca(time.time(), Lifetimes()).certificate.pem

    def is_denied_while_writing() -> bool:
        installation.overwrite_bundles(wrong)
        return not is_accepted(installation)

    wait_for("a pod is denied", is_denied_while_writing, REPAIR_SECONDS)
    await_rest(installation, replicas)

    installation.create_pod()


def test_added_webhook_gets_the_ca_bundle(installation: Installation, replicas: list[Replica]) -> None:
    await_rest(installation, replicas)
    document = installation.send("GET", installation.configuration_path)
    document["webhooks"].append({**document["webhooks"][0], "name": "third.podrole.io"})
    document["webhooks"][-1]["clientConfig"].pop("caBundle")
    installation.send("PUT", installation.configuration_path, document)

    await_rest(installation, replicas)

    assert len(installation.send("GET", installation.configuration_path)["webhooks"]) == 3


def test_new_replica_serves_the_existing_certificate(installation: Installation, replicas: list[Replica]) -> None:
    secret = await_rest(installation, replicas)
    third = installation.start_replica()
    assert secret.pair

    assert third.served() == secret.pair.certificate.pem
    assert third.status()["rotations"] == 0
    third.kill()


def test_replica_that_starts_with_a_damaged_key_repairs_it(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as installation:
        first = installation.start_replica()
        assert first.port
        first.kill()
        installation.edit_secret(tls_key=name_another_curve(installation))

        started = installation.start_replica()
        installation.register([started.port])

        assert await_rest(installation, [started]).problems == ()
        assert started.status()["is_ready"]
        assert started.status()["reconcile_errors"] == 0
