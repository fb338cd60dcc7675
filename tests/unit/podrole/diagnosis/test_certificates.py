"""The checks of the caBundle and the serving certificate."""

from collections.abc import Collection
from typing import Any

import pytest

from injector.certs.x509 import KeyPair, issue_ca, issue_serving_cert
from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.diagnosis.state.cluster import StoredCertificate
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.states import (
    CA,
    LIFETIMES,
    NAMES,
    NOW,
    SECRET,
    build_bundle,
    build_cluster_state,
    build_configuration,
    build_webhook,
    diagnose_with,
    find_texts,
    list_concerns,
    list_findings,
)

DAY = 24 * 60 * 60
OTHER_CA = issue_ca(NOW, LIFETIMES)
SERVICE = {"namespace": "podrole-system", "name": "podrole-injector", "path": "/mutate"}


def diagnose(bundle: str | None, pem: str | None = None, now: float = NOW, **client: Any) -> list[Finding]:
    config = {"service": SERVICE, **client} if bundle is None else {"service": SERVICE, "caBundle": bundle, **client}
    webhooks = [build_configuration(build_webhook(clientConfig=config))]
    changes: dict[str, Any] = {} if pem is None else {"certificate": StoredCertificate(SECRET, pem)}
    return list_findings(diagnose_cluster(build_cluster_state(webhooks=webhooks, **changes), {}, now))


def issue(ca: KeyPair = CA, names: Collection[str] = NAMES, since: float = NOW) -> str:
    return issue_serving_cert(ca, names, since, LIFETIMES).certificate.pem


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        pytest.param(None, "CaBundleMissing", id="absent"),
        pytest.param("", "CaBundleMissing", id="empty"),
        pytest.param("%%%", "CaBundleInvalid", id="not-base64"),
        pytest.param("aGVsbG8=", "CaBundleInvalid", id="not-pem"),
        pytest.param("/////w==", "CaBundleInvalid", id="not-text"),
    ],
)
def test_unusable_ca_bundle_is_a_problem(bundle: str | None, code: str) -> None:
    assert list_concerns(diagnose(bundle)) == [code, "CertificateUntrusted"]


def test_missing_ca_bundle_names_the_tool_that_can_have_removed_it() -> None:
    (finding,) = [one for one in diagnose(None) if one.code == "CaBundleMissing"]

    assert "Argo CD, must ignore the field" in finding.remedy


@pytest.mark.parametrize(
    "pem", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], ids=["empty", "not-der"]
)
def test_secret_without_a_certificate_is_a_problem(pem: str) -> None:
    assert list_concerns(diagnose(build_bundle(CA), pem)) == ["CertificateMissing"]


def test_secret_that_does_not_exist_is_a_problem() -> None:
    cluster = build_cluster_state(certificate=StoredCertificate("podrole-system/other", ""))

    findings = list_findings(diagnose_cluster(cluster, {}, NOW))

    assert find_texts(findings, "CertificateMissing") == ["Secret podrole-system/other contains no valid certificate."]


def test_certificate_of_another_ca_is_a_problem() -> None:
    assert list_concerns(diagnose(build_bundle(OTHER_CA), issue())) == ["CertificateUntrusted"]


def test_every_ca_of_the_bundle_is_trusted() -> None:
    assert list_concerns(diagnose(build_bundle(OTHER_CA, CA), issue())) == []


def test_certificate_for_another_name_is_reported_with_both_names() -> None:
    findings = diagnose(build_bundle(CA), issue(names=["other.podrole-system.svc"]))

    assert find_texts(findings, "CertificateNameMismatch") == [
        (
            "The certificate in Secret podrole-system/podrole-injector-certs is not for "
            "podrole-injector.podrole-system.svc but for other.podrole-system.svc."
        ),
    ]


@pytest.mark.parametrize(
    ("age_days", "codes"),
    [
        pytest.param(0, [], id="new"),
        pytest.param(69, [], id="21-days-left"),
        pytest.param(71, ["CertificateExpiresSoon"], id="19-days-left"),
        pytest.param(91, ["CertificateExpired"], id="certificate-expired"),
        pytest.param(3635, ["CaExpiresSoon", "CertificateExpired"], id="ca-expires-soon"),
        pytest.param(3651, ["CaExpired", "CertificateExpired"], id="ca-expired"),
    ],
)
def test_expiry_is_reported_in_advance(age_days: float, codes: list[str]) -> None:
    assert list_concerns(diagnose(build_bundle(CA), issue(), NOW + age_days * DAY)) == codes


def test_certificate_from_the_future_is_not_valid() -> None:
    assert list_concerns(diagnose(build_bundle(CA), issue(since=NOW + DAY))) == ["CertificateExpired"]


def test_chain_with_an_intermediate_ca_is_trusted_up_to_the_bundle() -> None:
    leaf = issue(OTHER_CA)

    assert list_concerns(diagnose(build_bundle(OTHER_CA), leaf + OTHER_CA.certificate.pem)) == []
    assert list_concerns(diagnose(build_bundle(CA), leaf + CA.certificate.pem)) == ["CertificateUntrusted"]


def test_certificate_of_a_webhook_with_a_url_is_not_checked() -> None:
    config = {"url": "https://127.0.0.1:9443/mutate", "caBundle": build_bundle(CA)}
    webhooks = [build_configuration(build_webhook(clientConfig=config))]

    findings = diagnose_with(webhooks=webhooks, service=None)

    assert list_concerns(findings) == []
    assert find_texts(findings, "CertificateNotChecked")
