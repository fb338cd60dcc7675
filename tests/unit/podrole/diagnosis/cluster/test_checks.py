"""The table of checks: what is reported for a cluster as a whole, and for failed reads."""

import dataclasses

import pytest

from podrole.diagnosis.cluster.checks import CHECKS, diagnose_cluster
from podrole.diagnosis.cluster.findings import Kubernetes, Namespaces, OtherInjectors
from podrole.diagnosis.installation.findings import Configuration, Registration
from podrole.diagnosis.pods.findings import ExpectedState, Injection, Sidecar
from podrole.diagnosis.state.cluster import ClusterState, Installation
from podrole.diagnosis.workloads.dry_run_findings import DryRun
from podrole.findings import Finding, FindingTemplate
from tests.unit.podrole.diagnosis.states import NOW, build_cluster_state, list_concerns, list_findings

READS = [
    field.name
    for state in (Installation, ClusterState)
    for field in dataclasses.fields(state)
    if field.name not in {"installation", "requested_namespaces", "dry_run_skipped"}
]


def diagnose(cluster: ClusterState) -> list[Finding]:
    return list_findings(diagnose_cluster(cluster, {}, NOW))


def test_healthy_cluster_has_no_concern() -> None:
    assert list_concerns(diagnose(build_cluster_state())) == []


def test_cluster_without_podrole_has_no_concern() -> None:
    cluster = build_cluster_state(
        webhooks=[], deployment=None, service=None, endpoint_slices=[], dry_runs=[], namespaces=[]
    )

    findings = diagnose(cluster)

    assert list_concerns(findings) == []
    expected = {"NotInstalled", "NoNamespaceLabelled", "DryRunNotApplicable"}
    assert expected <= {finding.code for finding in findings}


def test_cluster_where_every_read_fails_has_one_unknown_finding_per_check() -> None:
    findings = diagnose(build_cluster_state({name: f"{name} is forbidden (403)" for name in READS}))

    assert {finding.code for finding in findings} == {"ReadFailed"}
    assert {finding.level for finding in findings} == {"unknown"}
    assert len(findings) == len(CHECKS)
    assert findings[1].text.startswith("Cannot determine whether all kubelets support native sidecars: nodes is forb")


@pytest.mark.parametrize("name", READS)
def test_failed_read_is_reported_with_its_reason(name: str) -> None:
    findings = diagnose(build_cluster_state({name: "forbidden (403)"}))

    assert any(finding.code == "ReadFailed" and "forbidden (403)" in finding.text for finding in findings)


@pytest.mark.parametrize(
    "tables",
    [
        (Injection, ExpectedState, Sidecar),
        (Kubernetes, OtherInjectors, Namespaces, Registration, DryRun, Configuration),
    ],
    ids=["check", "preflight"],
)
def test_code_is_unique_within_a_command(tables: tuple[type[FindingTemplate], ...]) -> None:
    names = [template.name for table in tables for template in table]

    assert len(names) == len(set(names))
