"""Rotation of certificates and CAs: by request, by age, and after a time without replicas."""

import time
from pathlib import Path

from injector.certs.ca_store import SecretState, build_secret
from injector.certs.x509 import DAY_SECONDS, Lifetimes, issue_ca, issue_serving_cert
from testing.cluster.api import ApiServer
from tests.integration.api_server.certificates.installation import REPAIR_SECONDS, SERVICE, await_rest, installed


def test_annotations_renew_the_certificate_and_the_ca_and_drop_the_old_ca(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path, propagation_seconds=2) as installation:
        replicas = [installation.start_replica(), installation.start_replica()]
        installation.register([replica.port for replica in replicas])
        seen = [await_rest(installation, replicas)]

        for request in ("leaf", "ca", "drop"):
            annotate = {"metadata": {"annotations": {"podrole.io/rotate": request}}}
            installation.send("PATCH", installation.secret_path, annotate, "application/merge-patch+json")
            ends = time.monotonic() + REPAIR_SECONDS
            while not is_done(installation.secret(), seen[-1]) and time.monotonic() < ends:
                installation.create_pod()
                time.sleep(0.1)
            seen.append(await_rest(installation, replicas))

    first, leaf, ca, drop = seen
    assert leaf.pair != first.pair
    assert leaf.cas == first.cas
    assert ca.cas[1:] == leaf.cas
    assert ca.find_issuer(ca.pair) == ca.cas[0]
    assert drop.cas == ca.cas[:1]
    assert drop.pair == ca.pair


def is_done(secret: SecretState, before: SecretState) -> bool:
    """Whether the request and the rotation that follows it are complete."""
    return secret.request == "" and secret != before and secret.find_issuer(secret.pair) == secret.cas[0]


def test_certificate_that_expired_without_replicas_is_replaced_at_start(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as installation:
        long_ago = time.time() - 100 * DAY_SECONDS
        ca = issue_ca(long_ago, Lifetimes())
        leaf = issue_serving_cert(ca, {f"{SERVICE}.{installation.name}.svc"}, long_ago, Lifetimes())
        document = installation.send("GET", installation.secret_path)
        installation.send(
            "PUT", installation.secret_path, build_secret(document, SecretState((ca.certificate,), ca, leaf))
        )
        replica = installation.start_replica()
        installation.register([replica.port])

        secret = await_rest(installation, [replica])

    assert secret.cas == (ca.certificate,)
    assert secret.pair
    assert secret.pair.certificate.not_after > time.time() + 89 * DAY_SECONDS


def test_short_lived_certificates_rotate_without_a_failed_pod(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path, ca_seconds=40, serving_cert_seconds=24, propagation_seconds=3) as installation:
        replicas = [installation.start_replica(), installation.start_replica()]
        installation.register([replica.port for replica in replicas])
        await_rest(installation, replicas)
        seen: list[SecretState] = []
        ends = time.monotonic() + 120
        while time.monotonic() < ends and not has_rotated(seen):
            installation.create_pod()
            seen.append(installation.secret())
            time.sleep(0.1)
        logs = "".join(replica.log for replica in replicas)

    assert has_rotated(seen)
    assert len(seen[-1].cas) <= 3
    assert "a connection failed" not in logs


def has_rotated(seen: list[SecretState]) -> bool:
    """Whether two CAs followed the first one, and the last one signs."""
    cas = {ca for secret in seen for ca in secret.cas}
    is_over = bool(seen) and seen[-1].find_issuer(seen[-1].pair) == seen[-1].cas[0]
    return len(cas) >= 3 and len({secret.pair for secret in seen}) >= 4 and is_over
