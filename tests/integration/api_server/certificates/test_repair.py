"""Two replicas start at once, and somebody breaks what they keep: no handshake fails, and it is put back."""

import time
from collections.abc import Callable, Iterator

import pytest

from injector.certs.ca_store import SecretState
from injector.certs.x509 import Lifetimes, issue_ca
from tests.integration.api_server.api import ApiServer, wait_for
from tests.integration.api_server.certificates.replica import Replica
from tests.integration.api_server.certificates.test_installation import (
    PERIOD_SECONDS,
    REPAIR_SECONDS,
    SECRET,
    Site,
    await_rest,
    installed,
)


@pytest.fixture(scope="module")
def site(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with installed(api, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def replicas(site: Site) -> list[Replica]:
    """Two, started at once on an empty Secret; their webhooks come after them."""
    started = [site.start_replica(), site.start_replica()]
    ports = [replica.port for replica in started]
    assert not any(replica.status()["is_ready"] for replica in started)
    site.register(ports)
    await_rest(site, started)
    return started


def test_two_replicas_that_start_at_once_share_one_certificate(site: Site, replicas: list[Replica]) -> None:
    secret = await_rest(site, replicas)

    site.create_pod()

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
        lambda site: (
            site.send("DELETE", site.secret_path)
            and site.send("POST", site.secret_path.rsplit("/", 1)[0], {"metadata": {"name": SECRET}})
        ),
        lambda site: site.edit_secret(ca_crt=None, ca_key=None, tls_crt=None, tls_key=None),
        lambda site: site.edit_secret(ca_key="rubbish"),
        lambda site: site.edit_secret(ca_crt="rubbish"),
        lambda site: site.edit_secret(tls_key="rubbish"),
        lambda site: site.edit_secret(tls_crt=issue_ca(time.time(), Lifetimes()).certificate.pem),
    ],
    ids=["deleted", "emptied", "ca.key", "ca.crt", "tls.key", "tls.crt of another"],
)
def test_damaged_secret_is_repaired_without_a_failed_handshake(
    site: Site, replicas: list[Replica], damage: Callable[[Site], object]
) -> None:
    await_rest(site, replicas)
    damage(site)

    while not is_sound(site.secret()):
        site.create_pod()
        time.sleep(0.05)
    for _ in range(40):
        site.create_pod()
        time.sleep(0.05)

    secret = await_rest(site, replicas)
    assert secret.problems == ()
    assert secret.ca
    assert not any("a connection failed" in replica.log for replica in replicas)


def is_sound(secret: SecretState) -> bool:
    return secret.problems == () and secret.ca is not None and secret.find_issuer(secret.pair) is not None


@pytest.mark.parametrize("bundle", [None, issue_ca(time.time(), Lifetimes()).certificate.pem])
def test_overwritten_ca_bundle_is_repaired_in_about_a_second(
    site: Site, replicas: list[Replica], bundle: str | None
) -> None:
    await_rest(site, replicas)
    time.sleep(2)  # so that the pause between two passes is over
    started = time.monotonic()
    site.overwrite_bundles(bundle)

    wait_for("the bundle is back", lambda: site.bundles() not in ({bundle}, {""}), REPAIR_SECONDS)

    assert time.monotonic() - started < PERIOD_SECONDS, "noticed by the next look instead of the watch"
    await_rest(site, replicas)


def test_added_webhook_gets_the_ca_bundle(site: Site, replicas: list[Replica]) -> None:
    await_rest(site, replicas)
    document = site.send("GET", site.configuration_path)
    document["webhooks"].append({**document["webhooks"][0], "name": "third.podrole.io"})
    document["webhooks"][-1]["clientConfig"].pop("caBundle")
    site.send("PUT", site.configuration_path, document)

    await_rest(site, replicas)

    assert len(site.send("GET", site.configuration_path)["webhooks"]) == 3


def test_new_replica_serves_the_existing_certificate(site: Site, replicas: list[Replica]) -> None:
    secret = await_rest(site, replicas)
    third = site.start_replica()
    assert secret.pair

    assert third.served() == secret.pair.certificate.pem
    assert third.status()["rotations"] == 0
    third.kill()
