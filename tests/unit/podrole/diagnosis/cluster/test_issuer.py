"""Whether AWS can fetch the keys of the issuer, and where it does not have to."""

import pytest

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.findings import Finding
from podrole.issuer_urls import IssuerProblem, find_issuer_problems
from tests.unit.podrole.diagnosis.states import NOW, SAFE, build_cluster_state, build_deployment, list_findings

PRIVATE = "https://kubernetes.default.svc"


@pytest.mark.parametrize(
    ("url", "problems"),
    [
        pytest.param("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", [], id="eks"),
        pytest.param("https://bucket.s3.eu-west-1.amazonaws.com/cluster", [], id="bucket"),
        pytest.param("https://8.8.8.8/x", [], id="public-address"),
        pytest.param(PRIVATE, ["NOT_PUBLIC"], id="kubernetes-default"),
        pytest.param("https://kubernetes.default.svc.cluster.local", ["NOT_PUBLIC"], id="cluster-local"),
        pytest.param("https://kubernetes.default.svc.cluster.local.", ["NOT_PUBLIC"], id="dot-at-the-end"),
        pytest.param("https://kubernetes", ["NOT_PUBLIC"], id="name-without-a-dot"),
        pytest.param("https://localhost", ["NOT_PUBLIC"], id="localhost"),
        pytest.param("https://API.Example.Internal", ["NOT_PUBLIC"], id="upper-case"),
        pytest.param("https://10.0.0.1", ["NOT_PUBLIC"], id="private-address"),
        pytest.param("https://[fd00::1]", ["NOT_PUBLIC"], id="private-ipv6-address"),
        pytest.param("https://127.0.0.1:6443", ["NOT_PUBLIC", "HAS_PORT"], id="loopback-with-a-port"),
        pytest.param("http://oidc.example.com", ["NOT_HTTPS"], id="http"),
        pytest.param("https://oidc.example.com/", ["ENDS_WITH_SLASH"], id="slash"),
        pytest.param("https://oidc.example.com?x=1", ["HAS_QUERY"], id="query"),
        pytest.param("kubernetes/serviceaccount", ["NOT_HTTPS", "NOT_PUBLIC"], id="no-url"),
        pytest.param("", ["NOT_HTTPS", "NOT_PUBLIC"], id="empty"),
        pytest.param("https://[::1", ["NOT_HTTPS"], id="invalid-url"),
        pytest.param("https://a.example.com:99999999", ["NOT_HTTPS"], id="invalid-port"),
    ],
)
def test_problems_of_an_issuer_are_found(url: str, problems: list[str]) -> None:
    assert [problem.name for problem in find_issuer_problems(url)] == problems


def diagnose(issuer: str, **environ: str) -> Finding:
    cluster = build_cluster_state(issuer=issuer, deployment=build_deployment(SAFE | environ))
    (finding,) = [one for one in list_findings(diagnose_cluster(cluster, {}, NOW)) if one.code.startswith("Issuer")]
    return finding


@pytest.mark.parametrize(
    ("issuer", "level", "code"),
    [
        pytest.param("https://oidc.example.com", "ok", "IssuerPublic", id="public"),
        pytest.param(PRIVATE, "problem", "IssuerUnreachable", id="private"),
        pytest.param("http://oidc.example.com", "problem", "IssuerUnreachable", id="http"),
        pytest.param("https://oidc.example.com/", "warning", "IssuerEndsWithSlash", id="slash"),
    ],
)
def test_issuer_that_aws_cannot_use_is_reported(issuer: str, level: str, code: str) -> None:
    finding = diagnose(issuer)

    assert (finding.level, finding.code) == (level, code)
    assert issuer in finding.text


def test_own_sts_can_use_a_private_issuer() -> None:
    finding = diagnose(PRIVATE, PODROLE_STS_ENDPOINT="https://sts.example.com")

    assert (finding.level, finding.code) == ("note", "IssuerForOwnSts")
    assert "that server must be able to fetch" in finding.text


def test_endpoint_of_aws_cannot_use_a_private_issuer() -> None:
    assert diagnose(PRIVATE, PODROLE_STS_ENDPOINT="https://vpce-1.sts.eu-west-1.vpce.amazonaws.com").level == "problem"


def test_nodes_role_needs_no_issuer() -> None:
    assert diagnose(PRIVATE, PODROLE_CREDENTIAL_SOURCE="node").code == "IssuerNotUsed"


def test_issuer_that_could_not_be_read_is_unknown() -> None:
    cluster = build_cluster_state({"issuer": "forbidden"})

    texts = [one.text for one in list_findings(diagnose_cluster(cluster, {}, NOW)) if one.level == "unknown"]

    assert texts == ["Cannot determine whether AWS can verify the pods' tokens: forbidden."]


def test_every_problem_has_a_sentence() -> None:
    assert all(problem.value.startswith("it") for problem in IssuerProblem)
