"""What is said about a cluster: a healthy one has no concern, and each thing that goes wrong is named, once."""

from typing import Any

import pytest

from injector.errors import ClusterError
from podrole.diagnosis.cluster import CHECKS, diagnose_cluster
from podrole.diagnosis.cluster_findings import Kubernetes, Namespaces, OtherInjectors
from podrole.diagnosis.dry_run import build_pod, choose_namespaces
from podrole.diagnosis.pod_findings import ExpectedState, Injection, Sidecar
from podrole.diagnosis.snapshot import Snapshot, take_snapshot
from podrole.diagnosis.webhook_findings import Configuration, DryRun, Registration
from podrole.findings import Finding, FindingTemplate, Section, build_document, format_counts, format_sections
from tests.unit.injector.cases import CONFIG, ENVIRON
from tests.unit.podrole.diagnosis.snapshots import (
    NOW,
    SAFE,
    build_configuration,
    build_deployment,
    build_namespace,
    build_node,
    build_plain_pod,
    build_snapshot,
    build_webhook,
    find_texts,
    list_concerns,
    list_findings,
)

POD_SECURITY = "pod-security.kubernetes.io/enforce"
OLD_SERVER = [{"gitVersion": "v1.30.9-eks-1"}]
IRSA = build_configuration(build_webhook("iam-for-pods.amazonaws.com"), name="pod-identity-webhook")
IRSA_ACCOUNT = {
    "metadata": {"namespace": "team-a", "name": "s3", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:x"}}
}
BY_DENIAL = 'admission webhook "pods.podrole.io" denied the request: pod team-a/podrole-preflight-* (request 1): '


def diagnose(snapshot: Snapshot) -> list[Finding]:
    return list_findings(diagnose_cluster(snapshot, {}, NOW))


def build_daemon_set(name: str, image: str = "x:1") -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}
    return {"metadata": {"namespace": "kube-system", "name": name}, "spec": spec}


def configure(**changes: str) -> dict[str, Any]:
    return build_deployment(SAFE | changes)


def register(**changes: Any) -> list[dict[str, Any]]:
    return [build_configuration(build_webhook(**changes))]


def enforce(level: str) -> dict[str, Any]:
    return build_namespace(**{"podrole.io/injection": "enabled", POD_SECURITY: level})


def test_cluster_where_all_is_well_has_no_concern() -> None:
    assert list_concerns(diagnose(build_snapshot())) == []


def test_cluster_that_podrole_is_not_yet_installed_in_has_no_concern() -> None:
    snapshot = build_snapshot(
        webhooks=[], deployment=[], certificate=[], service=[], endpoint_slices=[], dry_runs=[], namespaces=[]
    )

    findings = diagnose(snapshot)

    assert list_concerns(findings) == []
    assert {"NotInstalled", "NoneLabelled", "NoNamespace"} <= {finding.code for finding in findings}


def test_cluster_of_which_nothing_may_be_read_has_nothing_that_is_ok() -> None:
    everything = build_snapshot().objects
    snapshot = Snapshot({}, {name: f"{name} is forbidden (403)" for name in everything})

    findings = diagnose(snapshot)

    assert {finding.level for finding in findings} == {"unknown"}
    assert len(findings) == len(CHECKS)
    assert "It is not known whether all kubelets know native sidecars: nodes is forbidden (403)" in findings[1].text


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"version": [{}]}, ["ServerUnclear"]),
        ({"version": [{"gitVersion": "v1.28.0"}]}, ["ServerTooOld"]),
        ({"version": OLD_SERVER}, ["ConfirmKubelets"]),
        ({"version": OLD_SERVER, "deployment": [configure(PODROLE_NATIVE_SIDECARS_CONFIRMED="true")]}, []),
        ({"version": OLD_SERVER, "nodes": [build_node("v1.28.3")]}, ["KubeletsTooOld"]),
        (
            {
                "version": OLD_SERVER,
                "nodes": [build_node("v1.28.3")],
                "deployment": [configure(PODROLE_NATIVE_SIDECARS_CONFIRMED="true")],
            },
            ["ConfirmedWrongly"],
        ),
        ({"nodes": [build_node(), build_node(system="windows"), build_node(cpu="arm64")]}, []),
        (
            {"nodes": [build_node() | {"metadata": {"labels": {"eks.amazonaws.com/compute-type": "fargate"}}}]},
            ["Fargate"],
        ),
        ({"webhooks": [*register(), IRSA], "service_accounts": [IRSA_ACCOUNT]}, ["Irsa"]),
        ({"service_accounts": [IRSA_ACCOUNT]}, []),
        (
            {"webhooks": [*register(reinvocationPolicy="Never"), build_configuration(build_webhook("z"), name="z")]},
            ["NotAskedAgain"],
        ),
        ({"webhooks": register(reinvocationPolicy="Never")}, []),
        ({"daemon_sets": [build_daemon_set("kube2iam"), build_daemon_set("x", "quay.io/uswitch/kiam:v4")]}, []),
        ({"asked": [{"name": "team-a"}, {"name": "nope"}]}, ["Missing"]),
        ({"namespaces": [enforce("restricted")]}, []),
        (
            {"namespaces": [enforce("baseline")], "deployment": [configure(PODROLE_MODE="redirect")]},
            ["RedirectRefused"],
        ),
        ({"webhooks": []}, ["Absent"]),
        ({"webhooks": [*register(), build_configuration(build_webhook(), name="again")]}, ["Duplicate"]),
        ({"webhooks": register(rules=[])}, ["NotForPods"]),
        ({"webhooks": register(failurePolicy="Ignore")}, ["Ignores"]),
        ({"webhooks": register(namespaceSelector={})}, ["AskedEverywhere", "SystemNamespaces"]),
        (
            {"webhooks": register(namespaceSelector={"matchLabels": {"podrole.io/injection": "enabled"}})},
            ["SystemNamespaces"],
        ),
        ({"webhooks": register(sideEffects="Some")}, ["SideEffects"]),
        ({"service": []}, ["NoService"]),
        ({"endpoint_slices": []}, ["NoEndpoints"]),
        (
            {"endpoint_slices": [{"endpoints": [{"addresses": ["::1"], "conditions": {"ready": False}}]}]},
            ["NoEndpoints"],
        ),
        ({"endpoint_slices": [{"endpoints": [{"targetRef": {"uid": "1"}}]}] * 2}, ["OneEndpoint"]),
        ({"dry_runs": [{"namespace": "team-a", "pod": build_plain_pod()}]}, ["Untouched"]),
        ({"dry_runs": [{"namespace": "team-a", "message": f"{BY_DENIAL}[RoleNotAllowed] No. (403)"}]}, []),
        (
            {"dry_runs": [{"namespace": "team-a", "message": f"{BY_DENIAL}[RoleNotAllowed] [InvalidRole] No. (403)"}]},
            ["Denied"],
        ),
        (
            {"dry_runs": [{"namespace": "team-a", "message": 'failed calling webhook "pods.podrole.io": x509 (500)'}]},
            ["Unreachable"],
        ),
        (
            {"dry_runs": [{"namespace": "team-a", "message": 'User "x" cannot create resource "pods" (403)'}]},
            ["NotAllowed"],
        ),
        ({"dry_runs": [{"namespace": "team-a", "message": "failed quota: q: must specify limits.cpu"}]}, ["Refused"]),
        ({"dry_runs": [], "unwanted": [{}]}, []),
        ({"deployment": [configure(PODROLE_REGION="nowhere")]}, ["Invalid"]),
        ({"deployment": [configure(PODROLE_ALLOW_OVERRIDES="inject")]}, ["Overrides"]),
        ({"deployment": [configure(PODROLE_PODS_WITHOUT_ROLE="ignore")]}, ["PodsWithoutRoleIgnored"]),
        ({"deployment": [configure(PODROLE_MODE="env")]}, ["EnvEverywhere"]),
        ({"deployment": [configure(PODROLE_CREDENTIAL_SOURCE="node")]}, ["NodeSource"]),
        ({"deployment": [configure(PODROLE_STS_ENDPOINT="http://sts")]}, ["PlainHttp"]),
        ({"deployment": [configure(PODROLE_TEMPLATE="/etc/podrole/t.yaml")]}, ["Template"]),
        ({"deployment": [configure(PODROLE_SIDECAR_IMAGE="localhost:5000/podrole-sidecar")]}, ["Latest"]),
        ({"deployment": [configure(PODROLE_SIDECAR_IMAGE="podrole-sidecar:latest")]}, ["Latest"]),
        ({"deployment": [configure(PODROLE_SIDECAR_IMAGE="localhost:5000/podrole-sidecar:1.2")]}, []),
    ],
)
def test_what_is_wrong_is_told_once_and_nothing_else(changes: dict[str, Any], codes: list[str]) -> None:
    assert list_concerns(diagnose(build_snapshot(**changes))) == codes


def test_webhooks_are_listed_in_the_order_in_which_the_api_server_asks_them() -> None:
    istio = build_configuration(
        build_webhook("rev.namespace.sidecar-injector.istio.io", reinvocationPolicy=None), name="istio-sidecar-injector"
    )
    other = build_configuration(
        build_webhook(
            "a.example.com",
            rules=[{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}],
        ),
        build_webhook(
            "deployments.example.com",
            rules=[{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["*"], "operations": ["*"]}],
        ),
        name="zz",
    )

    findings = diagnose(build_snapshot(webhooks=[other, *register(), istio]))

    assert [text for finding in findings if (text := finding.text)[1:2] == "."] == [
        (
            "1. rev.namespace.sidecar-injector.istio.io (istio-sidecar-injector; failurePolicy Fail, reinvocation "
            "Never): Istio; its rules stand behind podrole's in the pod, and its proxy sees no metadata requests."
        ),
        "2. pods.podrole.io (podrole-injector; failurePolicy Fail, reinvocation IfNeeded): podrole.",
        "3. a.example.com (zz; failurePolicy Fail, reinvocation IfNeeded): not one that podrole knows.",
    ]


def test_agents_are_found_by_their_name_or_image() -> None:
    agents = [build_daemon_set("eks-pod-identity-agent"), build_daemon_set("iam", "jtblin/kube2iam:0.11")]

    findings = diagnose(build_snapshot(daemon_sets=agents))

    texts = find_texts(findings, "Agent")
    assert texts[0].startswith("DaemonSet kube-system/eks-pod-identity-agent is the EKS Pod Identity agent. Its assoc")
    assert texts[1].startswith("DaemonSet kube-system/iam is kube2iam.")


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"nodes": []}, "NoNodes", "The cluster has no nodes now."),
        ({"nodes": [build_node(system="windows", name="w1")]}, "Windows", "ask for one: w1."),
        ({"nodes": [build_node(), build_node(cpu="arm64")]}, "Architectures", "(amd64, arm64)"),
        (
            {"version": OLD_SERVER, "deployment": [], "webhooks": []},
            "WillNeedConfirmation",
            "needs PODROLE_NATIVE_SIDECARS_CONFIRMED=true; none of the 1 kubelets here is older",
        ),
        ({"dry_runs": [], "unwanted": [{}]}, "NotWanted", "left out"),
        (
            {"deployment": [configure(PODROLE_SIDECAR_IMAGE="localhost:5000/podrole-sidecar:1.2")]},
            "NoDigest",
            "localhost:5000/podrole-sidecar:1.2 is not pinned by digest",
        ),
    ],
)
def test_what_is_good_to_know_is_a_note(changes: dict[str, Any], code: str, text: str) -> None:
    (told,) = [finding for finding in diagnose(build_snapshot(**changes)) if finding.code == code]

    assert told.level == "note"
    assert text in told.text


def test_settings_in_a_secret_leave_the_configuration_unknown() -> None:
    deployment = configure()
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "more"}}]

    findings = diagnose(build_snapshot(deployment=[deployment]))

    assert list_concerns(findings) == ["Gaps"]
    assert find_texts(findings, "Gaps")[0].endswith("Secret more.")


def test_many_names_are_cut_and_counted() -> None:
    nodes = [build_node("v1.28.1", name=f"n{index}") for index in range(8)]

    (text,) = find_texts(diagnose(build_snapshot(nodes=nodes)), "KubeletsTooOld")

    assert text.endswith("n3 (v1.28.1), n4 (v1.28.1) and 3 more.")


def test_modes_are_told_by_level_with_the_namespaces_in_each() -> None:
    namespaces = [build_namespace("a"), enforce("baseline"), build_namespace("c")]

    findings = diagnose(build_snapshot(namespaces=namespaces))

    assert find_texts(findings, "Redirect") == ["Redirect mode: a, c."]
    assert find_texts(findings, "EnvByPodSecurity")[0].startswith("PodSecurity baseline forbids the redirect")


def test_unlabelled_namespace_that_was_asked_for_is_told_with_the_command() -> None:
    findings = diagnose(build_snapshot(namespaces=[build_namespace(team="a")]))

    (told,) = [finding for finding in findings if finding.code == "NotLabelled"]
    assert told.remedy == "kubectl label namespace team-a podrole.io/injection=enabled"


def test_dry_run_is_tried_once_where_nobody_asked_for_more() -> None:
    snapshot = build_snapshot(namespaces=[build_namespace("a"), build_namespace("b")])

    assert choose_namespaces(snapshot, []) == ["a"]
    assert choose_namespaces(snapshot, ["a", "b"]) == ["a", "b"]


def test_dry_run_is_not_tried_where_nothing_would_be_injected() -> None:
    leaving = build_namespace("leaving")
    leaving["metadata"]["deletionTimestamp"] = "2026-09-02T10:00:00Z"

    assert choose_namespaces(build_snapshot(webhooks=[]), []) == []
    assert (
        choose_namespaces(build_snapshot(namespaces=[leaving, build_namespace(team="a")]), ["leaving", "team-a"]) == []
    )


def test_dry_run_is_tried_where_the_namespace_may_not_be_read() -> None:
    assert choose_namespaces(build_snapshot(unread={"namespaces": "forbidden"}), ["team-a"]) == ["team-a"]


def test_pod_of_the_dry_run_names_a_role_of_the_webhook_s_partition() -> None:
    config = type(CONFIG).from_environ({**ENVIRON, "PODROLE_REGION": "cn-north-1"})

    assert "arn:aws-cn:iam::" in str(build_pod(config)["metadata"])
    assert "arn:aws:iam::" in str(build_pod(None)["metadata"])


def test_refused_read_is_kept_with_its_reason_and_the_others_go_on() -> None:
    def refuse() -> list[Any]:
        raise ClusterError("nodes is forbidden (403)")

    snapshot = take_snapshot({"nodes": refuse, "version": lambda: [{"gitVersion": "v1.34.4"}]})

    assert snapshot.unread == {"nodes": "nodes is forbidden (403)"}
    assert snapshot.one("version") == {"gitVersion": "v1.34.4"}
    assert snapshot.one("nodes") is None


@pytest.mark.parametrize(
    "tables",
    [
        (Injection, ExpectedState, Sidecar),
        (Kubernetes, OtherInjectors, Namespaces, Registration, DryRun, Configuration),
    ],
    ids=["check", "preflight"],
)
def test_code_stands_for_one_statement_of_a_command(tables: tuple[type[FindingTemplate], ...]) -> None:
    names = [statement.name for table in tables for statement in table]

    assert len(names) == len(set(names))


def test_text_shows_levels_and_keeps_commands_on_one_line() -> None:
    command = "kubectl -n team-a " + "x" * 200
    section = Section("Title", (Finding("warning", "Code", "word " * 40, command),))  # type: ignore[arg-type] # a level is its text

    text = format_sections([Section("Empty", ()), section])

    lines = text.splitlines()
    assert lines[0] == "Title"
    assert lines[1].startswith("  warning  word word")
    assert lines[-1] == f"           > {command}"
    assert max(map(len, lines[:-1])) <= 110
    assert "Empty" not in text


def test_last_line_counts_and_says_what_could_not_be_looked_at() -> None:
    sections = diagnose_cluster(build_snapshot(unread={"nodes": "no"}, service=[]), {}, NOW)

    assert format_counts(sections) == "1 problem, 0 warnings, 2 that could not be looked at"


def test_document_has_what_a_program_needs() -> None:
    document = build_document(diagnose_cluster(build_snapshot(), {}, NOW))

    assert document[0] == {
        "section": "Kubernetes",
        "level": "ok",
        "code": "Server",
        "text": "The API server is 1.34: it knows native sidecars.",
        "remedy": "",
    }
