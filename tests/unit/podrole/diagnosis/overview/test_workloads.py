"""All workloads at once: only what is not ok is reported, each once; and nothing that podrole broke is missing."""

import json
from typing import Any

import pytest

from injector.errors import ForbiddenError, ObjectError
from podrole.diagnosis.overview.grouping import group_workloads
from podrole.diagnosis.overview.workloads import OverviewResult, list_sidecars
from podrole.diagnosis.pods.decision_input import Settings
from podrole.diagnosis.pods.pod import diagnose_pod
from podrole.diagnosis.state.cluster import Installation, ReadResult
from podrole.diagnosis.state.workload import WorkloadState
from podrole.estate.objects import LIST_PERMISSIONS, UnreadKind
from podrole.findings import MAX_EQUAL_CODES
from testing.cases import Pod
from tests.unit.podrole.diagnosis.states import (
    LATER,
    build_configuration,
    build_namespace,
    build_plain_pod,
    build_pod_state,
    build_running_pod,
    build_webhook,
    list_findings,
)
from tests.unit.podrole.diagnosis.workload_objects import (
    DENIAL,
    build_estate,
    build_event,
    build_state,
    build_workload,
    diagnose_all,
    diagnose_state,
    own,
)

BAD_ROLE = {"iam.amazonaws.com/role": "a b"}
FULL = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
OLD = {"replicas": 1, "updatedReplicas": 0, "readyReplicas": 1}
REFUSED = {"state": "refused", "last_failure": {"code": "AccessDenied", "message": "Not authorized", "at": LATER}}
READY = [{"type": "Ready", "status": "True"}]


def list_codes(result: OverviewResult, *levels: str) -> set[str]:
    sections = [result.cluster, *(section for _, section in result.workloads)]
    return {one.code for one in list_findings(sections) if one.level in (levels or {"problem"})}


def build_pod(**metadata: Any) -> Pod:
    """An injected pod of the StatefulSet `web`."""
    return own(build_running_pod(), **{"uid": "pod", "name": "web-0", **metadata})


def build_pod_in(container: int, **status: Any) -> Pod:
    """The pod with this status of a container of podrole."""
    pod = build_pod()
    pod["status"]["initContainerStatuses"][container] |= status
    return pod


def build_waiting_pod(reason: str) -> Pod:
    return build_pod_in(1, state={"waiting": {"reason": reason, "message": "no"}})


def build_pod_without_containers() -> Pod:
    pod = build_pod()
    waiting = {"waiting": {"reason": "PodInitializing"}}
    pod["status"]["initContainerStatuses"] = [
        {"name": name, "state": waiting} for name in ("podrole-redirect", "podrole-sidecar")
    ]
    return pod


def build_replica_set_event(name: str) -> dict[str, Any]:
    event = build_event(uid="replica-set")
    return {
        **event,
        "involvedObject": {"kind": "ReplicaSet", "namespace": "team-a", "name": name, "uid": "replica-set"},
    }


def build_unscheduled_pod() -> Pod:
    pod = build_pod()
    message = "0/1 nodes are available: 1 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod["status"] = {"phase": "Pending", "conditions": [condition]}
    return pod


def build_evicted_pod() -> Pod:
    pod = own(build_running_pod(), "Job", uid="pod", name="web-x")
    pod["status"] |= {"phase": "Failed", "reason": "Evicted", "message": "Container podrole-sidecar used too much"}
    return pod


STATEFUL_SET = build_workload("StatefulSet", FULL)
CRASHED = {"terminated": {"exitCode": 1, "message": "no"}}
BROKEN: dict[str, dict[str, Any]] = {
    "deployment-without-pods": {"objects": [build_workload()], "events": [build_event()]},
    "stuck-rollout": {"objects": [build_workload("Deployment", OLD)], "events": [build_event()]},
    "webhook-is-down": {
        "objects": [build_workload()],
        "events": [build_event('Internal error occurred: failed calling webhook "pods.podrole.io": timeout')],
    },
    "guard": {
        "objects": [build_workload()],
        "events": [build_event("ValidatingAdmissionPolicy 'podrole-pods' denied request: no")],
    },
    "quota": {
        "objects": [build_workload()],
        "events": [build_event("failed quota: q: must specify limits.cpu for: podrole-sidecar")],
    },
    "limit-range": {
        "objects": [build_workload()],
        "events": [build_event("minimum cpu usage per Container is 50m, but request is 20m")],
    },
    "pod-security": {
        "objects": [build_workload()],
        "events": [build_event('violates PodSecurity "x": (container "podrole-redirect" must not)')],
    },
    "stateful-set": {"objects": [build_workload("StatefulSet")], "events": [build_event(uid="StatefulSet-uid")]},
    "daemon-set": {
        "objects": [build_workload("DaemonSet", {"desiredNumberScheduled": 2})],
        "events": [build_event(uid="DaemonSet-uid")],
    },
    "replica-set": {
        "objects": [
            build_workload(
                "ReplicaSet", {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": DENIAL}]}
            )
        ]
    },
    "job": {"objects": [build_workload("Job")], "events": [build_event(uid="Job-uid")]},
    "cron-job": {
        "objects": [build_workload("CronJob"), own(build_workload("Job"), "CronJob")],
        "events": [build_event(uid="Job-uid")],
    },
    "custom-kind": {"objects": [build_workload("Rollout", {}, replicas=2)], "events": [build_event(uid="Rollout-uid")]},
    "custom-kind-with-a-replica-set": {
        "objects": [build_workload("Rollout", {}, replicas=2)],
        "events": [build_replica_set_event("web-5f6")],
    },
    "unschedulable-because-of-podrole": {"objects": [STATEFUL_SET, build_unscheduled_pod()]},
    "denied-at-the-next-restart": {
        "objects": [build_workload("StatefulSet", FULL, {"iam.amazonaws.com/role": "a b"}), build_pod()],
    },
    "suspended-cron-job": {
        "objects": [build_workload("CronJob", {}, {"iam.amazonaws.com/role": "a b"}, suspend=True)],
    },
    "image-of-the-sidecar": {"objects": [STATEFUL_SET, build_waiting_pod("ImagePullBackOff")]},
    "sidecar-cannot-be-created": {"objects": [STATEFUL_SET, build_waiting_pod("CreateContainerError")]},
    "sidecar-crashes": {
        "objects": [
            STATEFUL_SET,
            build_pod_in(1, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=CRASHED, restartCount=5),
        ],
    },
    "redirect-fails": {"objects": [STATEFUL_SET, build_pod_in(0, state=CRASHED)]},
    "role-is-refused": {"objects": [STATEFUL_SET, build_pod()], "statuses": {"pod": REFUSED}},
    "token-cannot-be-mounted": {
        "objects": [STATEFUL_SET, build_pod_without_containers()],
        "events": [build_event('MountVolume.SetUp failed for volume "podrole-token"', "pod", "FailedMount")],
    },
    "evicted-because-of-the-sidecar": {"objects": [build_workload("Job", {"active": 1}), build_evicted_pod()]},
    "bare-pod": {"objects": [own(build_waiting_pod("ErrImagePull"), ownerReferences=[])]},
}


@pytest.mark.parametrize("given", BROKEN.values(), ids=BROKEN.keys())
def test_workload_that_podrole_broke_is_never_without_a_problem(given: dict[str, Any]) -> None:
    result = diagnose_all(*given["objects"], events=given.get("events", ()), statuses=given.get("statuses"))

    assert list_codes(result)
    assert [state.target.partition("/")[0] for state, _ in result.workloads] != []


@pytest.mark.parametrize("given", BROKEN.values(), ids=BROKEN.keys())
def test_target_that_podrole_broke_is_never_without_a_problem(given: dict[str, Any]) -> None:
    """`podrole check KIND/NAME`: the workload, then its pods."""
    statuses = given.get("statuses", {})
    levels: set[str] = set()
    for state in group_workloads(build_estate(*given["objects"]), given.get("events", ())):
        levels |= {one.level for one in diagnose_state(state)}
        for pod in state.pods:
            status = statuses.get(pod["metadata"]["uid"])
            pod_state = build_pod_state(
                sidecar_status=json.dumps(status) if status else None, events=[*given.get("events", ())]
            )
            levels |= {one.level for one in list_findings(diagnose_pod(pod, pod_state, {}))}

    assert "problem" in levels


def test_replica_set_of_another_workload_is_not_taken_for_its_own() -> None:
    result = diagnose_all(build_workload("Rollout", {}, replicas=2), events=[build_replica_set_event("web-api-5f6")])

    assert "Denied" not in list_codes(result)


def test_healthy_workloads_are_only_counted() -> None:
    pod = build_pod()
    pod["status"]["conditions"] = READY

    result = diagnose_all(STATEFUL_SET, pod, build_workload("CronJob", {}))

    assert (result.workloads, list_codes(result, "problem", "warning", "unknown")) == ([], set())
    assert result.counts == {"workloads": 2, "pods": 1, "namespaces": 1, "ok": 2, "not_checked": 0, "kinds_not_read": 0}


def test_same_fault_of_many_pods_is_one_finding_with_their_number() -> None:
    pods = [own(build_waiting_pod("ErrImagePull"), name=f"web-{index}", uid=str(index)) for index in range(7)]

    result = diagnose_all(STATEFUL_SET, *pods)

    ((_, section),) = result.workloads
    (finding,) = [one for one in section.findings if one.code == "ImagePullFailed"]
    assert finding.text.endswith("(pod web-0 and 6 more)")


def test_pods_of_a_replica_set_belong_to_its_deployment() -> None:
    pod = build_pod_in(0, state=CRASHED)
    pod["metadata"]["labels"] = {"pod-template-hash": "7d4b9"}
    pod = own(pod, "ReplicaSet", "web-7d4b9")

    result = diagnose_all(build_workload("Deployment", FULL), pod)

    assert [(state.target, len(state.pods)) for state, _ in result.workloads] == [("deployment/web", 1)]


def test_pods_of_a_rollout_belong_to_it() -> None:
    pod = build_pod_in(0, state=CRASHED)
    pod["metadata"]["labels"] = {"rollouts-pod-template-hash": "55"}
    pod = own(pod, "ReplicaSet", "web-55")

    result = diagnose_all(build_workload("Rollout", {"replicas": 1, "readyReplicas": 1}), pod)

    assert [state.target for state, _ in result.workloads] == ["rollout.argoproj.io/web"]


def test_pods_of_an_unknown_controller_are_checked_under_its_name() -> None:
    result = diagnose_all(own(build_pod_in(0, state=CRASHED), "Gadget", "g"))

    assert [state.target for state, _ in result.workloads] == ["gadget/g"]


def test_workloads_without_the_label_are_counted_and_those_with_a_role_named() -> None:
    plain = {**build_workload("Deployment", {}, {}), "metadata": {"namespace": "team-a", "name": "plain"}}

    result = diagnose_all(build_workload(), plain, own(build_plain_pod()), labelled=False)

    assert result.workloads == []
    (finding,) = [one for one in result.cluster.findings if one.code == "NamespacesNotLabelled"]
    assert finding.text.startswith("3 workloads are in 1 namespace without podrole's label")
    assert "team-a. 2 of them set a role." in finding.text


IRSA_ACCOUNT = {
    "kind": "ServiceAccount",
    "metadata": {"namespace": "team-a", "name": "default", "annotations": {"eks.amazonaws.com/role-arn": "reader"}},
}


def build_own_pod(**spec: Any) -> Pod:
    """A pod without a controller."""
    return {"kind": "Pod", "apiVersion": "v1", **build_plain_pod(**spec)}


def build_agent(*flags: str) -> ReadResult[tuple[dict[str, Any], ...]]:
    containers = [{"image": "jtblin/kube2iam:0.11", "args": [*flags]}]
    agent = {"metadata": {"namespace": "kube-system"}, "spec": {"template": {"spec": {"containers": containers}}}}
    return ReadResult((agent,))


def build_installation_with_irsa() -> Installation:
    webhook = build_configuration(build_webhook("pod-identity-webhook.amazonaws.com"), name="pod-identity-webhook")
    return build_pod_state(webhooks=[build_configuration(build_webhook()), webhook]).installation


def build_pod_with(name: str) -> Pod:
    return build_own_pod(containers=[{"name": "app", "image": "x", "env": [{"name": name, "value": "x"}]}])


@pytest.mark.parametrize(
    ("objects", "changes"),
    [
        pytest.param([build_workload()], {}, id="template"),
        pytest.param([build_own_pod()], {}, id="pod"),
        pytest.param([build_workload(annotations={}), IRSA_ACCOUNT], {}, id="account-without-the-webhook-of-irsa"),
        pytest.param(
            [build_workload(annotations={}), IRSA_ACCOUNT], {"daemon_sets": build_agent()}, id="account-beside-an-agent"
        ),
        pytest.param(
            [build_workload(annotations={}), IRSA_ACCOUNT],
            {"daemon_sets": build_agent("--auto-discover-default-role")},
            id="node-role-of-an-agent",
        ),
        pytest.param(
            [build_own_pod(hostNetwork=True)], {"daemon_sets": build_agent()}, id="host-network-beside-an-agent"
        ),
    ],
)
@pytest.mark.parametrize("namespace", ["", "team-a"], ids=["all-namespaces", "one-namespace"])
def test_role_that_nothing_gives_is_a_problem(
    objects: list[dict[str, Any]], changes: dict[str, Any], namespace: str
) -> None:
    result = diagnose_all(*objects, labelled=False, namespace=namespace, **changes)

    (problem,) = [one for one in result.cluster.findings if one.level == "problem"]
    assert problem.code == "RoleNotGiven"
    assert "team-a/deployment/web" in problem.text or "team-a/pod/web" in problem.text


@pytest.mark.parametrize(
    ("objects", "changes"),
    [
        pytest.param([build_workload(annotations={})], {}, id="no-role"),
        pytest.param([build_workload()], {"daemon_sets": build_agent()}, id="role-of-an-agent"),
        pytest.param(
            [build_workload(annotations={}), IRSA_ACCOUNT],
            {"daemon_sets": build_agent("--default-role=node-default")},
            id="default-role-of-an-agent",
        ),
        pytest.param(
            [build_workload(annotations={}), IRSA_ACCOUNT],
            {"daemon_sets": build_agent("--default-role=$(UNKNOWN)")},
            id="default-role-of-an-agent-is-unknown",
        ),
        pytest.param(
            [build_workload(annotations={}), IRSA_ACCOUNT],
            {"installation": build_installation_with_irsa()},
            id="role-of-irsa",
        ),
        pytest.param([build_pod_with("AWS_WEB_IDENTITY_TOKEN_FILE")], {}, id="variable-of-irsa"),
        pytest.param([build_pod_with("AWS_ACCESS_KEY_ID")], {}, id="keys"),
        pytest.param([build_workload()], {"daemon_sets": ReadResult((), "forbidden")}, id="agents-unknown"),
    ],
)
def test_role_that_something_else_gives_or_may_give_is_no_problem(
    objects: list[dict[str, Any]], changes: dict[str, Any]
) -> None:
    result = diagnose_all(*objects, labelled=False, **changes)

    assert list_codes(result) == set()


@pytest.mark.parametrize("namespace", ["", "team-a"], ids=["all-namespaces", "one-namespace"])
@pytest.mark.parametrize(
    ("objects", "codes"),
    [
        pytest.param([build_workload()], {"RoleNotKnown"}, id="role"),
        pytest.param([build_workload(annotations={})], set(), id="no-role"),
        pytest.param([build_pod_with("AWS_ACCESS_KEY_ID")], set(), id="keys"),
    ],
)
def test_role_that_an_agent_gives_or_not_is_unknown_where_agents_cannot_be_read(
    objects: list[dict[str, Any]], codes: set[str], namespace: str
) -> None:
    unread = ReadResult((), "daemonsets.apps is forbidden")

    result = diagnose_all(*objects, labelled=False, namespace=namespace, daemon_sets=unread)

    assert list_codes(result, "problem", "unknown") == codes


@pytest.mark.parametrize("value", ["disabled", "false"])
def test_role_in_a_namespace_that_is_left_out_on_purpose_is_no_problem(value: str) -> None:
    namespace = {"kind": "Namespace", **build_namespace("team-a", **{"podrole.io/injection": value})}

    assert list_codes(diagnose_all(build_workload(), namespace, labelled=False)) == set()


@pytest.mark.parametrize("value", ["disabled", "false"])
def test_namespace_that_is_left_out_on_purpose_and_asked_for_is_a_note(value: str) -> None:
    namespace = {"kind": "Namespace", **build_namespace("team-a", **{"podrole.io/injection": value})}

    result = diagnose_all(build_workload(), namespace, labelled=False, namespace="team-a")

    assert list_codes(result, "note", "warning", "problem") == {"NamespaceLeftOut"}


def test_role_of_a_pod_that_is_left_out_on_purpose_is_no_problem() -> None:
    pod = build_own_pod()
    pod["metadata"]["labels"] = {"podrole.io/inject": "false"}

    assert list_codes(diagnose_all(pod, labelled=False)) == set()


def test_workloads_with_a_role_are_not_counted_where_nothing_can_be_decided() -> None:
    result = diagnose_all(build_workload(), labelled=False, settings=Settings(None, ()))

    (finding,) = [one for one in result.cluster.findings if one.code == "NamespacesNotLabelled"]
    assert finding.text.endswith("team-a. Which of them set a role is not known.")


def test_injected_pods_without_the_label_are_checked() -> None:
    result = diagnose_all(STATEFUL_SET, build_pod_in(0, state=CRASHED), labelled=False)

    assert "ContainerFailed" in list_codes(result)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param('failed calling webhook "pods.podrole.io": timeout', id="webhook-is-down"),
        pytest.param("ValidatingAdmissionPolicy 'podrole-pods' denied request: no", id="guard"),
        pytest.param(DENIAL, id="denied"),
    ],
)
def test_workload_without_the_label_is_checked_if_podrole_rejects_its_pods(message: str) -> None:
    """Somebody changed the webhook's or the guard's selector."""
    result = diagnose_all(build_workload(), build_workload("Job"), events=[build_event(message)], labelled=False)

    assert [state.target for state, _ in result.workloads] == ["deployment/web"]
    assert list_codes(result) != set()


def test_workload_without_the_label_is_not_checked_if_others_reject_its_pods() -> None:
    events = [build_event('admission webhook "other.example.com" denied the request: no')]

    assert diagnose_all(build_workload(), events=events, labelled=False).workloads == []


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "unlabelled"])
@pytest.mark.parametrize(
    "pod",
    [
        pytest.param({"metadata": {"annotations": {"iam.amazonaws.com/role": 5}}, "spec": {}}, id="annotation"),
        pytest.param({"spec": {"serviceAccountName": [1]}}, id="service-account"),
    ],
)
def test_custom_kind_with_other_fields_is_unknown_and_ends_nothing(pod: dict[str, Any], *, labelled: bool) -> None:
    rollout = build_workload("Rollout", {}, template=pod)
    crashed = own(build_pod_in(0, state=CRASHED))

    result = diagnose_all(STATEFUL_SET, crashed, rollout, labelled=labelled)

    assert list_codes(result) == {"ContainerFailed"}
    assert list_codes(result, "unknown") == ({"WorkloadNotRead"} if labelled else set())


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        pytest.param(ForbiddenError("no", 403, "no"), LIST_PERMISSIONS, id="forbidden"),
        pytest.param(ObjectError("Rollout r1 has no spec"), "", id="another-form"),
    ],
)
def test_permissions_are_the_remedy_only_where_they_are_missing(error: Exception, remedy: str) -> None:
    estate = build_estate()
    estate.unread = [UnreadKind("the kind Pod (v1)", error, is_custom=False)]

    result = diagnose_all(estate=estate)

    assert [one.remedy for one in result.cluster.findings if one.code == "KindNotRead"] == [remedy]


def test_missing_webhook_has_a_restart_that_kubectl_accepts_as_remedy() -> None:
    result = diagnose_all(STATEFUL_SET, installation=build_pod_state(webhooks=[]).installation)

    (finding,) = [one for one in result.cluster.findings if one.code == "WebhookNotRegistered"]
    assert finding.remedy.endswith("\nkubectl -n NAMESPACE rollout restart deployment,statefulset,daemonset")


def test_denial_of_a_workload_and_of_its_old_pods_is_one_problem() -> None:
    """New pods are denied, and the old ones would be too."""
    pod = own(build_running_pod(), name="web-0", uid="pod")
    stateful_set = build_workload("StatefulSet", {"replicas": 1, "readyReplicas": 1}, BAD_ROLE, replicas=2)
    pod["metadata"]["annotations"] |= BAD_ROLE
    (now,) = [one for one in diagnose_state(build_state(stateful_set)) if one.code == "WouldDeny"]
    event = build_event(f"{DENIAL} {now.text.partition('] ')[2]}", uid="StatefulSet-uid")

    result = diagnose_all(stateful_set, pod, events=[event])

    ((_, section),) = result.workloads
    assert [one.code for one in section.findings if one.level == "problem"] == ["Denied"]


def test_kinds_that_could_not_be_read_are_counted_once() -> None:
    estate = build_estate()
    kinds = ["the kind Pod (v1)", "the kind Job (batch/v1)", "the kind Pod (v1)"]
    estate.unread = [UnreadKind(kind, ObjectError("no"), is_custom=False) for kind in kinds]

    assert diagnose_all(estate=estate).counts["kinds_not_read"] == 2


def test_objects_that_could_not_be_read_are_limited() -> None:
    estate = build_estate()
    estate.unread = [UnreadKind(str(index), ObjectError("no"), is_custom=True) for index in range(1000)]

    result = diagnose_all(estate=estate)

    assert len([one for one in result.cluster.findings if one.code == "KindNotRead"]) == MAX_EQUAL_CODES + 1


def test_pod_that_is_older_than_the_label_is_one_finding() -> None:
    result = diagnose_all(build_workload("StatefulSet", FULL), own(build_plain_pod(), name="web-0", uid="pod"))

    ((_, section),) = result.workloads
    assert [one.code for one in section.findings] == ["CreatedBeforeLabel"]


def test_pod_on_the_nodes_network_without_a_role_is_as_its_team_wants_it() -> None:
    obj = build_workload("StatefulSet", FULL, {})
    obj["spec"]["template"]["spec"]["hostNetwork"] = True
    pod = own(build_plain_pod(hostNetwork=True), name="web-0", uid="pod")
    pod["metadata"]["annotations"] = {}

    assert diagnose_all(obj, pod).workloads == []


def test_many_evicted_pods_do_not_hide_one_that_podrole_broke() -> None:
    evicted = [own(build_running_pod(), name=f"old-{index}", uid=str(index)) for index in range(100)]
    for pod in evicted:
        pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}

    result = diagnose_all(STATEFUL_SET, *evicted, build_waiting_pod("ErrImagePull"))

    assert list_codes(result, "problem", "warning") == {"ImagePullFailed"}


def test_sidecars_that_were_not_read_are_counted_with_the_option_that_reads_them() -> None:
    result = diagnose_all(STATEFUL_SET, build_pod(), statuses={"pod": {"state": "serving"}}, statuses_omitted=5)

    (note,) = [one for one in result.cluster.findings if one.code == "StatusesOmitted"]
    assert "The status of 1 sidecar was read" in note.text
    assert note.remedy.endswith("--max-sidecars 6")


@pytest.mark.parametrize("kind", ["Namespace", "ServiceAccount"])
def test_nothing_is_decided_where_what_it_depends_on_could_not_be_read(kind: str) -> None:
    result = diagnose_all(STATEFUL_SET, build_pod(conditions=[]), unread_kind=kind)

    assert list_codes(result) == set()
    assert list_codes(result, "unknown") == {"KindNotRead"}
    assert "NamespacesNotLabelled" not in list_codes(result, "note")


@pytest.mark.parametrize("kind", ["Namespace", "ServiceAccount"])
def test_rejected_pods_are_reported_also_where_nothing_is_decided(kind: str) -> None:
    result = diagnose_all(build_workload(), events=[build_event()], unread_kind=kind)

    assert list_codes(result) == {"Denied"}


def build_states(ready: int, unready: int) -> list[WorkloadState]:
    pods = []
    for index in range(ready + unready):
        pod = build_pod(name=f"web-{index}", creationTimestamp=f"2026-09-02T10:00:{index:02}Z")
        pod["status"]["conditions"] = READY if index < ready else []
        pods.append(pod)
    return [WorkloadState(STATEFUL_SET, "statefulset", pods=tuple(pods))]


@pytest.mark.parametrize(
    ("ready", "unready", "names"),
    [
        pytest.param(0, 0, [], id="no-pod"),
        pytest.param(3, 0, ["web-2"], id="newest-ready-pod"),
        pytest.param(1, 5, ["web-5", "web-4", "web-3", "web-0"], id="some-that-are-not-ready-first"),
    ],
)
def test_sidecars_are_chosen_by_what_they_tell(ready: int, unready: int, names: list[str]) -> None:
    assert [pod["metadata"]["name"] for pod in list_sidecars(build_states(ready, unready))] == names


def test_sidecars_that_could_not_be_read_are_one_unknown_for_all() -> None:
    pods = [own(build_running_pod(), name=f"web-{index}", uid=str(index)) for index in range(3)]

    result = diagnose_all(STATEFUL_SET, *pods, unread={str(index): "exec is forbidden" for index in range(3)})

    assert list_codes(result, "unknown") == {"StatusesNotRead"}


def test_kinds_of_the_same_name_in_two_groups_are_two_workloads() -> None:
    """OpenKruise has a StatefulSet of its own, for example."""
    other = build_workload("StatefulSet", FULL)
    other["apiVersion"] = "apps.kruise.io/v1beta1"
    pods = [build_pod(), build_pod(name="web-1")]
    pods[1]["metadata"]["ownerReferences"][0]["apiVersion"] = "apps.kruise.io/v1beta1"
    pods[0]["metadata"]["ownerReferences"][0]["apiVersion"] = "apps/v1"

    states = group_workloads(build_estate(STATEFUL_SET, other, *pods))

    assert [
        (state.kind, len(state.templates), [one["metadata"]["name"] for one in state.pods]) for state in states
    ] == [
        ("statefulset.apps.kruise.io", 1, ["web-1"]),
        ("statefulset", 1, ["web-0"]),
    ]


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "unlabelled"])
def test_workloads_of_a_namespace_that_is_being_deleted_are_not_checked(*, labelled: bool) -> None:
    """Its ServiceAccounts are gone before its workloads."""
    going = build_namespace("team-a", **({} if labelled else {"other": "label"}))
    going["metadata"]["deletionTimestamp"] = LATER

    result = diagnose_all({"kind": "Namespace", **going}, STATEFUL_SET, build_unscheduled_pod(), labelled=labelled)

    assert (result.workloads, result.counts["workloads"], result.counts["not_checked"]) == ([], 0, 0)
    assert [one.code for one in result.cluster.findings if one.level != "ok"] == ["NamespacesTerminating"]
