"""The findings about an OIDC provider and about the cluster's issuer."""

import json
from typing import Any

import pytest

from podrole.iam.check import check_document, check_issuer
from podrole.iam.statements import ExpectedTrust

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        pytest.param({"Url": ISSUER, "ClientIDList": ["sts.amazonaws.com"]}, {"ProviderAudiencePresent"}, id="correct"),
        pytest.param({"Url": ISSUER, "ClientIDList": []}, {"ProviderAudienceMissing"}, id="no-audience"),
        pytest.param(
            {"Url": ISSUER, "ClientIDList": ["vault"], "ThumbprintList": ["a"]},
            {"ProviderAudienceMissing", "ProviderThumbprint"},
            id="other-audience-and-thumbprint",
        ),
        pytest.param(
            {"Url": f"{ISSUER}/", "ClientIDList": ["sts.amazonaws.com"]},
            {"ProviderAudiencePresent", "ProviderIssuerMismatch"},
            id="slash-after-the-issuer",
        ),
    ],
)
def test_oidc_provider_is_checked(document: Any, codes: set[str]) -> None:
    assert {finding.code for finding in check_document(json.dumps(document), ExpectedTrust(ISSUER))} == codes


def test_provider_needs_every_audience_of_the_pods() -> None:
    document = json.dumps({"Url": ISSUER, "ClientIDList": ["amazonaws.com"]})
    expected = ExpectedTrust(ISSUER, subjects=("a", "b"), audiences={"a": "amazonaws.com"})

    missing, present = sorted(check_document(document, expected), key=lambda one: one.code)

    assert (missing.code, present.code) == ("ProviderAudienceMissing", "ProviderAudiencePresent")
    assert "client ids are amazonaws.com: tokens for sts.amazonaws.com are rejected" in missing.text
    assert "PODROLE_AUDIENCE" in missing.remedy
    assert present.text == "The OIDC provider accepts tokens for amazonaws.com."


def test_provider_is_not_compared_without_an_issuer() -> None:
    text = json.dumps({"Url": ISSUER, "ClientIDList": ["sts.amazonaws.com"]})

    assert {finding.code for finding in check_document(text, ExpectedTrust())} == {
        "ProviderAudiencePresent",
        "IssuerNotCompared",
    }


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        pytest.param(f"https://{ISSUER}", set(), id="public"),
        pytest.param("https://kubernetes.default.svc.cluster.local", {"IssuerNotPublic"}, id="cluster-domain"),
        pytest.param("https://kubernetes.default.svc", {"IssuerNotPublic"}, id="service"),
        pytest.param("https://kubernetes/default", {"IssuerNotPublic"}, id="no-domain"),
        pytest.param("http://oidc.example.com", {"IssuerNotHttps"}, id="http"),
        pytest.param("https://10.0.0.1:6443", {"IssuerNotPublic", "IssuerHasPort"}, id="private-address-and-port"),
        pytest.param("https://oidc.example.com/?a=b", {"IssuerHasQuery", "IssuerEndsWithSlash"}, id="query-and-slash"),
    ],
)
def test_issuer_that_aws_cannot_use_is_named(url: str, codes: set[str]) -> None:
    assert {finding.code for finding in check_issuer(url)} == codes
