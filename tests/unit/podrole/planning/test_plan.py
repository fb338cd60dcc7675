"""The plan of an estate: what each workload has now and gets then, and how it is restarted."""

from typing import Any

import pytest

from injector.decision.outcomes import Outcome
from injector.value_types import ModePolicy
from podrole.plan_report.cells import build_cells
from podrole.plan_report.text import format_text
from podrole.planning.estate import PlanEstate
from podrole.planning.namespaces import Scope
from podrole.planning.plan import build_plan
from podrole.planning.pod_plans import Settings
from podrole.planning.restarts import How
from podrole.planning.roles_now import Systems, find_systems
from testing.cases import CONFIG, ENVIRON
from tests.unit.podrole.planning.objects import (
    SETTINGS,
    TEMPLATE,
    account,
    list_codes,
    make_plan,
    make_row,
    namespace,
    owned,
    pod,
    template,
    workload,
)

READER = "arn:aws:iam::111122223333:role/reader"
ESTATE = (namespace(), account())
LONG_NO_PROXY = [{"name": "HTTP_PROXY", "value": "http://proxy"}, {"name": "NO_PROXY", "value": "x" * 300_000}]


def injected(role: str | None = READER, image: str = ENVIRON["PODROLE_SIDECAR_IMAGE"]) -> dict[str, Any]:
    """A pod template after an injection in redirect mode; without a role in block mode."""
    plain = template()
    redirect = {"name": "podrole-redirect", "image": image}
    sidecar = {"name": "podrole-sidecar", "image": image, "env": [{"name": "PODROLE_ROLE_ARN", "value": role}]}
    containers = [redirect, sidecar] if role else [redirect]
    return {**plain, "spec": {**plain["spec"], "initContainers": containers}}


@pytest.mark.parametrize(
    ("objects", "mode", "role"),
    [
        pytest.param([*ESTATE, workload()], "redirect", READER, id="role of the template"),
        pytest.param(
            [namespace(), account(**{"eks.amazonaws.com/role-arn": READER}), workload(pod=template(None))],
            "redirect",
            READER,
            id="role of the ServiceAccount",
        ),
        pytest.param([*ESTATE, workload(pod=template(None))], "block", None, id="no role"),
        pytest.param(
            [*ESTATE, workload(pod=template(schedulerName="fargate-scheduler"))], "env", READER, id="Fargate: env mode"
        ),
        pytest.param(
            [namespace(is_labelled=False), account(), workload()], "redirect", READER, id="unlabelled: as once labelled"
        ),
    ],
)
def test_row_has_the_mode_and_role_that_the_webhook_would_give(
    objects: list[dict[str, Any]], mode: str, role: str | None
) -> None:
    row = make_row(*objects)

    assert (row.then.mode, row.then.role) == (mode, role)


def test_reason_for_env_mode_is_in_the_row() -> None:
    row = make_row(*ESTATE, workload(pod=template(schedulerName="fargate-scheduler")))

    assert "fargate" in row.then.mode_reason.lower()


@pytest.mark.parametrize(
    ("objects", "code", "words"),
    [
        pytest.param(
            [namespace(annotations={"iam.amazonaws.com/allowed-roles": '["other"]'}), account(), workload()],
            "WouldBeDenied",
            "[RoleNotAllowed]",
            id="role that is not allowed",
        ),
        pytest.param(
            [*ESTATE, workload("DaemonSet", template(hostNetwork=True))],
            "WouldBeDenied",
            "[HostNetworkWithRole]",
            id="leftover annotation with hostNetwork",
        ),
        pytest.param(
            [
                namespace(),
                account(**{"iam.amazonaws.com/role": "reader"}),
                workload("DaemonSet", template(None, hostNetwork=True)),
            ],
            "RoleNotGiven",
            "role reader",
            id="role of the ServiceAccount with hostNetwork",
        ),
        pytest.param(
            [*ESTATE, workload(pod=template(None, {"iam.amazon.com/role": "reader"}))],
            "UnknownAnnotation",
            "iam.amazon.com/role",
            id="misspelt key",
        ),
        pytest.param(
            [*ESTATE, workload(pod=template(None, {"eks.amazonaws.com/role-arn": READER}))],
            "KeyWithoutEffect",
            "eks.amazonaws.com/role-arn of the pod",
            id="IRSA's key on the pod",
        ),
        pytest.param(
            [namespace(), workload(pod=template(serviceAccountName="lost"))],
            "AccountMissing",
            "ServiceAccount lost does not exist",
            id="ServiceAccount that does not exist",
        ),
        pytest.param(
            [*ESTATE, workload(pod=template(container={"env": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]}))],
            "CredentialsOverridden",
            "AWS_ACCESS_KEY_ID",
            id="keys that take precedence",
        ),
        pytest.param(
            [*ESTATE, workload(pod=template(container={"env": LONG_NO_PROXY}))],
            "WouldBeDenied",
            "[NoProxyTooLong]",
            id="NO_PROXY that is too long",
        ),
        pytest.param(
            [*ESTATE, workload(pod={"metadata": {}, "spec": {"containers": [{"name": "a"}] * 1001}})],
            "WouldBeDenied",
            "[TooManyContainers]",
            id="too many containers",
        ),
    ],
)
def test_workload_that_does_not_get_what_its_annotations_say_has_a_finding(
    objects: list[dict[str, Any]], code: str, words: str
) -> None:
    row = make_row(*objects)

    assert [finding.text for finding in row.findings if finding.code == code and words in finding.text]


def test_workload_that_is_left_alone_has_the_reason() -> None:
    row = make_row(*ESTATE, workload("DaemonSet", template(None, hostNetwork=True)))

    assert [(one.level, one.code) for one in row.findings] == [("note", "Unchanged")]
    assert "spec.hostNetwork" in row.findings[0].text


def test_annotation_on_the_deployment_has_a_finding() -> None:
    deployment = workload(pod=template(None))
    deployment["metadata"]["annotations"] = {"iam.amazonaws.com/role": "reader"}

    row = make_row(*ESTATE, deployment)

    assert [one.remedy + one.text for one in row.findings if one.code == "KeyWithoutEffect"]


@pytest.mark.parametrize("noun", ["annotations", "labels"])
def test_annotation_on_the_job_of_a_cron_job_has_a_finding(noun: str) -> None:
    cron_job = workload("CronJob", template(None))
    cron_job["spec"]["jobTemplate"]["metadata"] = {noun: {"iam.amazonaws.com/role": "reader"}}

    row = make_row(*ESTATE, cron_job)

    (text,) = [one.text for one in row.findings if one.code == "KeyWithoutEffect"]
    assert "of the CronJob's spec.jobTemplate has no effect" in text


def test_commands_of_findings_are_quoted_for_a_shell() -> None:
    content = template(serviceAccountName="x; rm -rf y")
    rollout = {**workload("Rollout", content, name="a b"), "apiVersion": "argoproj.io/v1alpha1"}

    row = make_row(*ESTATE, rollout, is_cluster=True)

    (remedy,) = [one.remedy for one in row.findings if one.code == "AccountMissing"]
    assert remedy == "kubectl -n shop create serviceaccount 'x; rm -rf y'"


def test_denied_workload_that_runs_must_not_be_restarted() -> None:
    daemon_set = workload("DaemonSet", template(hostNetwork=True))
    running = pod("web-1", template(hostNetwork=True), ("apps/v1", "DaemonSet", "web"))

    row = make_row(*ESTATE, daemon_set, running)

    assert row.restart.how == How.NONE
    assert "DeniedAtRestart" in {finding.code for finding in row.findings}


@pytest.mark.parametrize(
    ("thing", "how", "command"),
    [
        pytest.param(workload(), How.ROLLOUT, "kubectl -n shop rollout restart deployment/web", id="Deployment"),
        pytest.param(
            workload("StatefulSet"), How.ROLLOUT, "kubectl -n shop rollout restart statefulset/web", id="StatefulSet"
        ),
        pytest.param(
            workload("DaemonSet"), How.ROLLOUT, "kubectl -n shop rollout restart daemonset/web", id="DaemonSet"
        ),
        pytest.param(
            workload("DaemonSet", updateStrategy={"type": "OnDelete"}),
            How.DELETE_PODS,
            "kubectl -n shop delete pods -l app=web",
            id="OnDelete",
        ),
        pytest.param(
            workload(paused=True),
            How.ROLLOUT,
            "kubectl -n shop rollout resume deployment/web && kubectl -n shop rollout restart deployment/web",
            id="paused Deployment",
        ),
        pytest.param(
            workload("ReplicaSet"), How.DELETE_PODS, "kubectl -n shop delete pods -l app=web", id="ReplicaSet alone"
        ),
        pytest.param(
            workload("ReplicationController"),
            How.DELETE_PODS,
            "kubectl -n shop delete pods -l app=web",
            id="ReplicationController",
        ),
        pytest.param(pod("web"), How.RECREATE, "kubectl -n shop replace --force -f FILE", id="bare pod"),
        pytest.param(workload("Job"), How.NEXT_RUN, "", id="Job"),
        pytest.param(workload("CronJob"), How.NEXT_RUN, "", id="CronJob"),
        pytest.param(workload("CronJob", suspend=True), How.NEXT_RUN, "", id="suspended CronJob"),
        pytest.param(workload(replicas=0), How.NONE, "", id="no replicas"),
        pytest.param(
            {**workload("Rollout"), "apiVersion": "argoproj.io/v1alpha1"},
            How.ROLLOUT,
            "kubectl argo rollouts restart web -n shop",
            id="Rollout of Argo",
        ),
        pytest.param(
            {
                **workload("ScaledJob"),
                "apiVersion": "keda.sh/v1alpha1",
                "spec": {"jobTargetRef": {"template": template()}},
            },
            How.NEXT_RUN,
            "",
            id="custom kind that ends by itself",
        ),
        pytest.param(
            {**workload("CloneSet"), "apiVersion": "apps.kruise.io/v1alpha1"},
            How.DELETE_PODS,
            "kubectl -n shop delete pods -l app=web",
            id="custom kind with a selector",
        ),
    ],
)
def test_row_names_the_command_that_restarts_the_workload(thing: dict[str, Any], how: How, command: str) -> None:
    row = make_row(*ESTATE, thing, is_cluster=False)

    assert (row.restart.how, row.restart.command) == (how, command)


@pytest.mark.parametrize(
    ("running", "outdated", "how"),
    [
        pytest.param([template()], 1, How.ROLLOUT, id="not injected"),
        pytest.param([injected()], 0, How.NONE, id="up to date"),
        pytest.param([injected(), template()], 1, How.ROLLOUT, id="one of two"),
        pytest.param([injected(READER + "-2")], 1, How.ROLLOUT, id="another role"),
        pytest.param([injected(None)], 1, How.ROLLOUT, id="another mode"),
        pytest.param([injected(image="old")], 1, How.ROLLOUT, id="another image"),
    ],
)
def test_pods_that_are_up_to_date_need_no_restart(running: list[dict[str, Any]], outdated: int, how: How) -> None:
    replica_set = owned(workload("ReplicaSet", name="web-1"), "apps/v1", "Deployment", "web")
    pods = [pod(f"web-1-{number}", one, ("apps/v1", "ReplicaSet", "web-1")) for number, one in enumerate(running)]

    row = make_row(*ESTATE, workload(), replica_set, *pods)

    assert (row.name, row.pods, row.outdated, row.restart.how) == ("Deployment/web", len(running), outdated, how)


def test_pods_that_end_are_not_counted() -> None:
    ending = pod("web-1", owner=("apps/v1", "StatefulSet", "web"))
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    new = pod("web-0", injected(), ("apps/v1", "StatefulSet", "web"))

    row = make_row(*ESTATE, workload("StatefulSet"), ending, new)

    assert (row.pods, row.outdated, row.restart.how) == (1, 0, How.NONE)


def test_injected_pods_whose_successors_are_not_injected_have_a_finding() -> None:
    content = injected()
    content["spec"]["hostNetwork"] = True
    content["metadata"]["annotations"] = {}
    running = pod("web-0", content, ("apps/v1", "StatefulSet", "web"))

    row = make_row(*ESTATE, workload("StatefulSet", template(None, hostNetwork=True)), running)

    assert "NoLongerInjected" in {finding.code for finding in row.findings}


def test_pods_of_a_run_belong_to_their_cron_job() -> None:
    job = owned(workload("Job", name="web-123"), "batch/v1", "CronJob", "web")
    running = pod("web-123-x", owner=("batch/v1", "Job", "web-123"))

    row = make_row(*ESTATE, workload("CronJob"), job, running)

    assert (row.name, row.pods) == ("CronJob/web", 1)


def test_pods_of_an_unknown_controller_are_one_row() -> None:
    pods = [pod(f"web-{number}", owner=("example.com/v1", "Web", "web")) for number in range(3)]

    row = make_row(*ESTATE, *pods)

    assert (row.name, row.pods, row.then.role, row.restart.how) == ("Web/web", 3, READER, How.CONTROLLER)


def test_workload_of_an_unknown_owner_is_a_row_of_its_own() -> None:
    row = make_row(*ESTATE, owned(workload("StatefulSet"), "example.com/v1", "Web", "web"))

    assert row.name == "StatefulSet/web"


def test_workload_of_another_workload_is_no_row_of_its_own() -> None:
    version = "apps.kruise.io/v1alpha1"
    part = {**owned(workload("CloneSet", name="web-a"), version, "UnitedDeployment", "web"), "apiVersion": version}
    parts = {"cloneSetTemplate": {"spec": {"template": template()}}}
    whole = {**workload("UnitedDeployment"), "apiVersion": version, "spec": {"template": parts}}
    running = pod("web-a-1", owner=(version, "CloneSet", "web-a"))

    row = make_row(*ESTATE, part, whole, running)

    assert (row.name, row.pods) == ("UnitedDeployment/web", 1)


def test_mirror_pod_is_no_row() -> None:
    static = pod("static", template(None, {"kubernetes.io/config.mirror": "x"}))

    assert make_plan(*ESTATE, static).rows == []


KUBE2IAM = Systems(frozenset({"kube2iam"}), "node-default", has_irsa=False)


@pytest.mark.parametrize(
    ("content", "annotations", "systems", "expected"),
    [
        pytest.param(template(), {}, KUBE2IAM, ("kube2iam", "reader"), id="kube2iam"),
        pytest.param(template(None), {}, KUBE2IAM, ("kube2iam's default", "node-default"), id="default role"),
        pytest.param(
            template(None), {}, KUBE2IAM._replace(default_role=None), ("nobody", None), id="kube2iam without a default"
        ),
        pytest.param(template(hostNetwork=True), {}, KUBE2IAM, ("node", None), id="hostNetwork"),
        pytest.param(
            template(), {}, Systems(frozenset({"kube2iam", "Kiam"})), ("kube2iam or Kiam", "reader"), id="both agents"
        ),
        pytest.param(template(), {}, Systems(frozenset()), ("node", None), id="no agent"),
        pytest.param(
            template(schedulerName="fargate-scheduler"), {}, Systems(frozenset()), ("nobody", None), id="Fargate"
        ),
        pytest.param(
            template(schedulerName="fargate-scheduler"), {}, KUBE2IAM, ("nobody", None), id="kube2iam, but on Fargate"
        ),
        pytest.param(template(), {}, Systems(), ("kube2iam or Kiam", "reader"), id="agents unknown"),
        pytest.param(
            template(), {"eks.amazonaws.com/role-arn": READER}, Systems(has_irsa=True), ("IRSA", READER), id="IRSA"
        ),
        pytest.param(
            template(),
            {"eks.amazonaws.com/role-arn": READER},
            KUBE2IAM,
            ("kube2iam", "reader"),
            id="IRSA absent",
        ),
        pytest.param(
            template(container={"env": [{"name": "AWS_ACCESS_KEY_ID"}]}), {}, KUBE2IAM, ("access keys", None), id="keys"
        ),
    ],
)
def test_row_has_the_role_of_now_and_its_system(
    content: dict[str, Any], annotations: dict[str, str], systems: Systems, expected: tuple[str, str | None]
) -> None:
    row = make_row(namespace(), account(**annotations), workload(pod=content), systems=systems)

    assert row.now == expected


def agent(name: str, *arguments: str) -> dict[str, Any]:
    container = {"name": "agent", "image": f"example/{name}:1", "args": [*arguments]}
    content = {"metadata": {}, "spec": {"hostNetwork": True, "containers": [container]}}
    return workload("DaemonSet", content, name=name)


@pytest.mark.parametrize(
    ("daemon_sets", "expected"),
    [
        pytest.param(None, Systems(), id="not read"),
        pytest.param([agent("exporter")], Systems(frozenset()), id="none"),
        pytest.param(
            [agent("kube2iam", "--default-role=node-default", f"--base-role-arn={READER[:31]}/")],
            Systems(frozenset({"kube2iam"}), "node-default", base_role_arn=f"{READER[:31]}/"),
            id="kube2iam",
        ),
        pytest.param(
            [agent("kube2iam", "--auto-discover-default-role")],
            Systems(frozenset({"kube2iam"}), has_node_default=True),
            id="kube2iam with the node's role",
        ),
        pytest.param([agent("kiam-agent")], Systems(frozenset({"Kiam"})), id="Kiam"),
    ],
)
def test_node_agents_are_found_with_what_decides_about_roles(
    daemon_sets: list[dict[str, Any]] | None, expected: Systems
) -> None:
    assert find_systems(daemon_sets, None) == expected


def test_irsa_is_found_by_its_webhook() -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {"name": "iam-for-pods.amazonaws.com", "rules": [rule]}

    assert find_systems(None, [{"metadata": {"name": "pod-identity-webhook"}, "webhooks": [webhook]}]).has_irsa is True
    assert find_systems(None, []).has_irsa is False


@pytest.mark.parametrize(
    ("mode", "is_rejected"), [("auto", False), ("env", False), ("redirect", True)], ids=["auto", "env", "redirect"]
)
@pytest.mark.parametrize("role", ["reader", None], ids=["role", "no role"])
def test_redirect_that_the_namespace_forbids_has_a_finding(mode: str, role: str | None, *, is_rejected: bool) -> None:
    restricted = namespace()
    restricted["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    config = CONFIG._replace(mode=ModePolicy(mode))
    estate = PlanEstate(is_complete=True)
    for one in (restricted, account(), workload(pod=template(role))):
        estate.add(one)

    plan = build_plan(estate, Settings(config, TEMPLATE))

    assert ("RedirectForbidden" in list_codes(plan)) is is_rejected


def test_default_role_that_gives_way_to_that_of_the_namespace_has_no_finding() -> None:
    systems = KUBE2IAM._replace(base_role_arn=f"{READER[:31]}/")
    with_default = namespace(annotations={"podrole.io/default-role": "other"})

    row = make_row(with_default, account(), workload(pod=template(None)), systems=systems)

    assert row.now.role == f"{READER[:31]}/node-default"
    assert row.findings == ()


@pytest.mark.parametrize(
    ("has_irsa", "is_named"),
    [
        pytest.param(True, True, id="installed"),
        pytest.param(False, False, id="not installed"),
        pytest.param(None, False, id="unknown"),
    ],
)
def test_service_account_that_irsa_handles_too_has_a_finding(*, has_irsa: bool | None, is_named: bool) -> None:
    irsa = account(**{"eks.amazonaws.com/role-arn": READER})

    row = make_row(namespace(), irsa, workload(pod=template(None)), systems=Systems(has_irsa=has_irsa))

    remedies = [one.remedy for one in row.findings if one.code == "IrsaPreferred"]
    command = f"kubectl -n shop annotate serviceaccount default iam.amazonaws.com/role={READER}"
    assert remedies == ([f"{command} eks.amazonaws.com/role-arn-"] if is_named else [])


def test_running_pod_of_fargate_is_planned_as_before_it_had_a_node() -> None:
    running = pod("web", template(schedulerName="fargate-scheduler"), node="fargate-1")

    assert make_row(*ESTATE, running).then.mode == "env"


def test_role_of_another_account_has_a_finding() -> None:
    systems = KUBE2IAM._replace(base_role_arn="arn:aws:iam::444455556666:role/")

    row = make_row(*ESTATE, workload(), systems=systems)

    assert row.now.role == "arn:aws:iam::444455556666:role/reader"
    assert "RoleChanges" in {finding.code for finding in row.findings}


def test_role_of_injected_pods_comes_from_podrole() -> None:
    running = pod("web-1", injected(), ("apps/v1", "StatefulSet", "web"))

    assert make_row(*ESTATE, workload("StatefulSet"), running, systems=KUBE2IAM).now == ("podrole", READER)


def test_default_role_that_is_lost_has_a_finding() -> None:
    row = make_row(*ESTATE, workload(pod=template(None)), systems=KUBE2IAM)

    assert "CredentialsLost" in {finding.code for finding in row.findings}


@pytest.mark.parametrize(
    ("given", "codes", "is_labelled"),
    [
        pytest.param(namespace(), [], True, id="labelled"),
        pytest.param(namespace(is_labelled=False), [], False, id="without the label"),
        pytest.param(
            {"kind": "Namespace", "metadata": {"name": "shop", "labels": {"podrole.io/injection": "true"}}},
            ["LabelledOtherwise"],
            False,
            id="label true",
        ),
    ],
)
def test_namespace_without_the_label_is_marked(given: dict[str, Any], codes: list[str], *, is_labelled: bool) -> None:
    plan = make_plan(given, account(), workload())

    (found,) = plan.namespaces
    assert found.is_labelled is is_labelled
    assert bool(found.label_command) is not is_labelled
    assert [finding.code for finding in found.findings] == codes


def test_requested_namespace_that_does_not_exist_has_a_finding() -> None:
    plan = make_plan(namespace(), scope=Scope(("shop", "nowhere")))

    assert list_codes(plan) == ["NamespaceNotFound"]


def test_namespace_that_the_webhook_does_not_select_has_a_finding() -> None:
    selector = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}]}

    plan = make_plan(*ESTATE, workload(), scope=Scope(("shop",), selector=selector))

    assert "NotSelected" in list_codes(plan)


def test_warning_about_the_namespace_is_reported_once() -> None:
    plan = make_plan(
        namespace(annotations={"podrole.io/defaultrole": "reader"}),
        account(),
        workload(),
        workload("StatefulSet", name="db"),
    )

    assert list_codes(plan).count("UnknownAnnotation") == 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"metadata": {"annotations": {"a": 1}}, "spec": {"containers": []}}, id="annotation of a number"),
        pytest.param({"metadata": {}, "spec": {"containers": {}}}, id="containers that are no list"),
        pytest.param({"metadata": {}}, id="no spec"),
    ],
)
def test_pod_template_that_cannot_be_read_is_a_finding_of_its_row(broken: dict[str, Any]) -> None:
    custom = {**workload("Rollout", broken), "apiVersion": "argoproj.io/v1alpha1"}

    plan = make_plan(*ESTATE, custom, workload(name="other"))

    assert {row.name: row.then.outcome for row in plan.rows} == {
        "Rollout/web": Outcome.FAIL,
        "Deployment/other": Outcome.INJECT,
    }
    assert "Unreadable" in list_codes(plan)
    [row] = [row for row in plan.rows if row.name == "Rollout/web"]
    assert build_cells(row, plan)[3:5] == ("unknown", "unknown")


def test_objects_that_could_not_be_read_do_not_deny_a_workload() -> None:
    estate = PlanEstate(is_complete=True, unread_names={"Namespace", "ServiceAccount"})
    estate.add(workload())

    (row,) = build_plan(estate, SETTINGS).rows

    assert row.then.outcome == Outcome.INJECT


@pytest.mark.parametrize(
    ("is_account_known", "codes"),
    [
        pytest.param(True, {"WouldBeDenied", "DeniedAtRestart"}, id="no account"),
        pytest.param(False, {"RoleAccountUnknown"}, id="account could not be read"),
    ],
)
def test_name_of_a_role_is_denied_only_if_the_webhook_is_known_to_have_no_account(
    codes: set[str], *, is_account_known: bool
) -> None:
    estate = PlanEstate(is_complete=True)
    for one in (*ESTATE, workload(), pod("web-1", template(), ("apps/v1", "Deployment", "web"))):
        estate.add(one)
    settings = Settings(CONFIG._replace(account_id=None), TEMPLATE, is_account_known=is_account_known)

    (row,) = build_plan(estate, settings).rows

    assert {one.code for one in row.findings} == codes


def test_chain_of_owners_that_is_a_circle_ends() -> None:
    first = owned(workload("StatefulSet", name="a"), "apps/v1", "StatefulSet", "b")
    second = owned(workload("StatefulSet", name="b"), "apps/v1", "StatefulSet", "a")

    make_plan(*ESTATE, first, second, pod("a-1", owner=("apps/v1", "StatefulSet", "a")))


def test_namespace_that_is_being_deleted_is_not_planned() -> None:
    """Its ServiceAccounts are gone before its workloads: the plan advised to create `default` again."""
    going = namespace(is_labelled=False)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    plan = make_plan(going, workload(), namespace("stays"))

    (found,) = plan.namespaces
    assert (found.rows, found.label_command, list_codes(plan)) == ((), "", ["Terminating"])


@pytest.mark.parametrize("value", ["disabled", "false"])
@pytest.mark.parametrize("scope", [Scope(), Scope(("shop",))], ids=["all", "requested"])
def test_namespace_that_is_left_out_on_purpose_is_not_planned(value: str, scope: Scope) -> None:
    left_out = namespace()
    left_out["metadata"]["labels"] = {"podrole.io/injection": value}

    plan = make_plan(left_out, account(), workload(), scope=scope)

    (found,) = plan.namespaces
    assert (found.rows, found.label_command, list_codes(plan)) == ((), "", ["LeftOut"])
    assert "to do:" not in format_text(plan)
    assert "once it has the label" not in format_text(plan)
