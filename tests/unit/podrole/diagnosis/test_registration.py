"""The caBundle and the certificate: what an API server would not accept is found before it does not."""

from collections.abc import Collection
from typing import Any

import pytest

from injector.certs.x509 import KeyPair, issue_ca, issue_serving_cert
from podrole.diagnosis.cluster import diagnose_cluster
from podrole.diagnosis.snapshot import Snapshot
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.snapshots import (
    AUTHORITY,
    LIFETIMES,
    NAMES,
    NOW,
    SECRET,
    build_bundle,
    build_configuration,
    build_snapshot,
    build_webhook,
    find_texts,
    list_concerns,
    list_findings,
)

DAY = 24 * 60 * 60
OTHER = issue_ca(NOW, LIFETIMES)
SERVICE = {"namespace": "podrole-system", "name": "podrole-injector"}


def diagnose(bundle: str | None, pem: str | None = None, now: float = NOW, **client: Any) -> list[Finding]:
    config = {"service": SERVICE, **client} if bundle is None else {"service": SERVICE, "caBundle": bundle, **client}
    webhooks = [build_configuration(build_webhook(clientConfig=config))]
    snapshot = build_snapshot(webhooks=webhooks)
    if pem is not None:
        snapshot |= Snapshot({"certificate": ({"secret": SECRET, "pem": pem},)})
    return list_findings(diagnose_cluster(snapshot, {}, now))


def issue(authority: KeyPair = AUTHORITY, names: Collection[str] = NAMES, since: float = NOW) -> str:
    return issue_serving_cert(authority, names, since, LIFETIMES).certificate.pem


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (None, "NoCa"),
        ("", "NoCa"),
        ("%%%", "BadCa"),
        ("aGVsbG8=", "BadCa"),
        ("/////w==", "BadCa"),
    ],
)
def test_bundle_that_no_api_server_can_use_is_a_problem(bundle: str | None, code: str) -> None:
    assert list_concerns(diagnose(bundle)) == [code, "CertificateUntrusted"]


@pytest.mark.parametrize("pem", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_secret_without_a_certificate_is_a_problem(pem: str) -> None:
    assert list_concerns(diagnose(build_bundle(AUTHORITY), pem)) == ["CertificateAbsent"]


def test_secret_that_does_not_exist_is_a_problem() -> None:
    snapshot = build_snapshot(certificate=[{"secret": "podrole-system/other", "pem": ""}])

    findings = list_findings(diagnose_cluster(snapshot, {}, NOW))

    assert find_texts(findings, "CertificateAbsent") == ["Secret podrole-system/other holds no certificate."]


def test_certificate_of_another_authority_is_a_problem() -> None:
    assert list_concerns(diagnose(build_bundle(OTHER), issue())) == ["CertificateUntrusted"]


def test_each_authority_of_an_overlapping_bundle_is_trusted() -> None:
    assert list_concerns(diagnose(build_bundle(OTHER, AUTHORITY), issue())) == []


def test_certificate_for_another_name_is_a_problem_that_names_both() -> None:
    findings = diagnose(build_bundle(AUTHORITY), issue(names=["other.podrole-system.svc"]))

    assert find_texts(findings, "CertificateNames") == [
        (
            "The certificate in Secret podrole-system/podrole-injector-certs is not for "
            "podrole-injector.podrole-system.svc, but for other.podrole-system.svc."
        ),
    ]


@pytest.mark.parametrize(
    ("age_days", "codes"),
    [
        (0, []),
        (69, []),
        (71, ["CertificateEnds"]),
        (91, ["CertificateExpired"]),
        (3635, ["CaEnds", "CertificateExpired"]),
        (3651, ["CaExpired", "CertificateExpired"]),
    ],
)
def test_end_of_certificates_is_foretold(age_days: float, codes: list[str]) -> None:
    assert list_concerns(diagnose(build_bundle(AUTHORITY), issue(), NOW + age_days * DAY)) == codes


def test_certificate_from_the_future_is_not_valid_now() -> None:
    assert list_concerns(diagnose(build_bundle(AUTHORITY), issue(since=NOW + DAY))) == ["CertificateExpired"]


def test_chain_by_an_intermediate_authority_is_trusted() -> None:
    leaf = issue(OTHER)

    assert list_concerns(diagnose(build_bundle(OTHER), leaf + OTHER.certificate.pem)) == []
    assert list_concerns(diagnose(build_bundle(AUTHORITY), leaf + AUTHORITY.certificate.pem)) == [
        "CertificateUntrusted"
    ]


def test_webhook_at_a_url_leaves_the_proof_to_the_dry_run() -> None:
    config = {"url": "https://127.0.0.1:9443/mutate", "caBundle": build_bundle(AUTHORITY)}
    webhooks = [build_configuration(build_webhook(clientConfig=config))]

    findings = list_findings(diagnose_cluster(build_snapshot(webhooks=webhooks, service=[]), {}, NOW))

    assert list_concerns(findings) == []
    assert find_texts(findings, "CertificateAtUrl")
