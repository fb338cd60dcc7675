"""Who would reach the node's role, or lose a role, without kube2iam or Kiam."""

from typing import Any

import pytest

from contract.modes import Mode
from injector.k8s.objects import Metadata
from injector.value_types import ModePolicy, PodsWithoutRole
from podrole.diagnosis.agents.census import PodCounter
from podrole.diagnosis.agents.removal import BY_GROUP, check_removal
from podrole.diagnosis.cluster.checks import build_check_context
from podrole.diagnosis.state.agent_groups import Group
from podrole.findings import Finding
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Pod, build_case
from tests.unit.podrole.diagnosis.states import build_cluster_state

BASELINE = Metadata({**ENABLED.labels, "pod-security.kubernetes.io/enforce": "baseline"}, {})
NAMESPACES = {"labelled": ENABLED, "baseline": BASELINE, "other": Metadata({"podrole.io/injection": "true"}, {})}
ACCOUNTS = {(name, "default"): UNANNOTATED for name in NAMESPACES}
ROLE = {"iam.amazonaws.com/role": "reader"}


def build_pod(namespace: str, annotations: dict[str, str] | None = None, phase: str = "Running", **spec: Any) -> Pod:
    metadata = {"namespace": namespace, "name": "web", "annotations": annotations}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app"}], **spec}, "status": {"phase": phase}}


def build_injected(mode: Mode) -> Pod:
    case = build_case()
    if mode == Mode.BLOCK:
        del case.pod["metadata"]["annotations"]
    pod = case.inject(CONFIG._replace(mode=ModePolicy.ENV) if mode == Mode.ENV else CONFIG)
    pod["metadata"]["namespace"] = "labelled"
    return pod


def count(*pods: Pod, **changes: Any) -> PodCounter:
    counter = PodCounter(**{"namespaces": NAMESPACES, "accounts": ACCOUNTS, "config": CONFIG, **changes})
    for pod in pods:
        counter.add(pod)
    return counter


def find_groups(pod: Pod, **changes: Any) -> list[Group]:
    return [group for group, counts in count(pod, **changes).census.items() if counts]


@pytest.mark.parametrize(
    ("pod", "groups"),
    [
        pytest.param(build_injected(Mode.REDIRECT), [], id="redirect-mode"),
        pytest.param(build_injected(Mode.BLOCK), [], id="block-mode"),
        pytest.param(build_injected(Mode.ENV), [Group.ENV_MODE], id="env-mode"),
        pytest.param(build_pod("elsewhere"), [Group.UNLABELLED], id="unlabelled"),
        pytest.param(build_pod("other"), [Group.UNLABELLED], id="label-with-another-value"),
        pytest.param(build_pod("elsewhere", ROLE), [Group.NEEDS_AGENT, Group.UNLABELLED], id="unlabelled-with-a-role"),
        pytest.param(
            build_pod("elsewhere", {"iam.amazonaws.com/role": ""}), [Group.UNLABELLED], id="unlabelled-empty-role"
        ),
        pytest.param(build_pod("labelled"), [Group.NOT_INJECTED], id="older-than-the-label"),
        pytest.param(build_pod("labelled", ROLE), [Group.NEEDS_AGENT, Group.NOT_INJECTED], id="older-with-a-role"),
        pytest.param(
            build_pod("labelled", {"iam.amazonaws.com/role": "a b"}),
            [Group.NEEDS_AGENT, Group.NOT_INJECTED],
            id="denied",
        ),
        pytest.param(build_pod("baseline"), [Group.UNCHANGED], id="pod-security-without-a-role"),
        pytest.param(
            build_pod("baseline", ROLE), [Group.NEEDS_AGENT, Group.NOT_INJECTED], id="pod-security-with-a-role"
        ),
        pytest.param(build_pod("elsewhere", hostNetwork=True), [Group.HOST_NETWORK], id="host-network"),
        pytest.param(
            build_pod("labelled", ROLE, hostNetwork=True), [Group.HOST_NETWORK], id="host-network-with-a-role"
        ),
        pytest.param(build_pod("labelled", os={"name": "windows"}), [Group.WINDOWS], id="windows"),
        pytest.param(
            build_pod("labelled", nodeSelector={"kubernetes.io/os": "windows"}), [Group.WINDOWS], id="windows-selector"
        ),
        pytest.param(build_pod("elsewhere", ROLE, phase="Succeeded"), [], id="completed"),
        pytest.param(build_pod("elsewhere", ROLE, phase="Failed"), [], id="failed"),
        pytest.param(build_pod("elsewhere", phase="Pending"), [Group.UNLABELLED], id="pending"),
        pytest.param({"metadata": {}, "spec": {}}, [Group.UNLABELLED], id="nearly-empty"),
    ],
)
def test_pod_is_in_its_group(pod: Pod, groups: list[Group]) -> None:
    assert find_groups(pod) == groups


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(build_pod("elsewhere", ROLE, nodeName="f1"), id="unlabelled-with-a-role"),
        pytest.param(build_pod("baseline", nodeName="f1"), id="without-a-role"),
        pytest.param(build_pod("labelled", phase="Pending", schedulerName="fargate-scheduler"), id="not-yet-started"),
    ],
)
def test_pod_on_fargate_is_in_no_group(pod: Pod) -> None:
    """No agent runs there, and no metadata service answers."""
    assert find_groups(pod, fargate_nodes={"f1"}) == []


def test_pod_that_only_claims_to_be_on_fargate_is_counted() -> None:
    pod = build_pod("elsewhere", nodeName="n1", schedulerName="fargate-scheduler")

    assert find_groups(pod, fargate_nodes={"f1"}) == [Group.UNLABELLED]


def test_pods_without_a_role_that_the_operator_leaves_alone_are_unchanged() -> None:
    config = CONFIG._replace(pods_without_role=PodsWithoutRole.IGNORE)

    assert find_groups(build_pod("labelled"), config=config) == [Group.UNCHANGED]


def test_role_under_the_agents_own_key_counts() -> None:
    pod = build_pod("elsewhere", {"example.com/role": "reader"})

    assert find_groups(pod) == [Group.UNLABELLED]
    assert find_groups(pod, role_keys={"example.com/role"}) == [Group.NEEDS_AGENT, Group.UNLABELLED]


def test_without_the_webhooks_settings_pods_of_labelled_namespaces_are_not_injected() -> None:
    assert find_groups(build_pod("baseline"), config=None) == [Group.NOT_INJECTED]


def test_counter_keeps_numbers_only() -> None:
    counter = count(*(build_pod(f"n{number % 3}", {"a": "x" * 1000}) for number in range(1000)))

    assert counter.census[Group.UNLABELLED] == {"n0": 334, "n1": 333, "n2": 333}
    assert {type(value) for counts in counter.census.values() for value in counts.values()} == {int}


def find(counter: PodCounter | None) -> list[Finding]:
    cluster = build_cluster_state(agent_pods=counter.census if counter else None)
    return [*check_removal(build_check_context(cluster, {}, 0))]


def test_each_group_is_a_finding_with_its_namespaces() -> None:
    pods = [build_pod("elsewhere", ROLE), *(build_pod("a") for _ in range(3)), build_pod("x", hostNetwork=True)]

    findings = find(count(*pods))

    assert [(one.code, one.level) for one in findings] == [
        ("NeedAgent", "warning"),
        ("InUnlabelledNamespaces", "warning"),
        ("WithHostNetwork", "note"),
    ]
    assert "4 pods of namespaces without the label can reach the node's role: a (3), elsewhere (1)." in findings[1].text
    assert "podrole preflight --probe" in findings[1].remedy


def test_names_of_namespaces_are_limited() -> None:
    [finding] = find(count(*(build_pod(f"n{number}") for number in range(500))))

    assert finding.text.endswith("n0 (1), n1 (1), n2 (1), n3 (1), n4 (1) and 495 more.")


def test_nobody_who_depends_on_the_agent_is_ok() -> None:
    [finding] = find(count(build_injected(Mode.REDIRECT)))

    assert (finding.code, finding.level) == ("NobodyLeft", "ok")


def test_without_an_agent_nothing_is_said() -> None:
    assert find(None) == []


def test_every_group_has_a_finding() -> None:
    assert {*BY_GROUP} == {*Group}


@pytest.mark.parametrize(
    ("pod", "groups"),
    [
        pytest.param(build_pod("elsewhere"), [Group.NEEDS_AGENT, Group.UNLABELLED], id="no-annotation"),
        pytest.param(build_pod("labelled"), [Group.NEEDS_AGENT, Group.NOT_INJECTED], id="older-than-the-label"),
        pytest.param(build_pod("elsewhere", ROLE), [Group.NEEDS_AGENT, Group.UNLABELLED], id="role-of-its-own"),
        pytest.param(build_pod("elsewhere", hostNetwork=True), [Group.HOST_NETWORK], id="host-network"),
        pytest.param(build_injected(Mode.REDIRECT), [], id="redirect-mode"),
        pytest.param(build_pod("elsewhere", phase="Succeeded"), [], id="ended"),
        pytest.param(
            build_pod("elsewhere", containers=[{"name": "app", "env": [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE"}]}]),
            [Group.UNLABELLED],
            id="IRSA",
        ),
    ],
)
def test_pod_without_a_role_depends_on_the_agents_default_role(pod: Pod, groups: list[Group]) -> None:
    assert find_groups(pod, has_default_role=True) == groups
