"""What --probe requests of the API server, and that it deletes everything whatever happens."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any, cast

import pytest

from contract.modes import Mode
from injector.errors import ApiError, ClusterError, ConfigError, ForbiddenError, NotFoundError
from injector.k8s.client import ApiClient
from podrole.cluster.probe_plan import ProbeOptions, ProbePlan, check_namespace, format_plan, plan_probes
from podrole.cluster.probes import Timing, run_probes
from podrole.deadlines import PROBES_SECONDS
from podrole.diagnosis.probes import build_probe_pods
from podrole.diagnosis.state.installed_config import build_effective_config
from testing.cases import ENVIRON
from tests.unit.podrole.diagnosis.states import build_cluster_state, build_deployment

NAMESPACE = "/api/v1/namespaces/probes"
PODS = tuple(build_probe_pods(build_effective_config(None, ENVIRON), [], "a1"))
TEMPORARY = ProbePlan("probes", is_temporary=True, pods=PODS, omitted=())
GIVEN = TEMPORARY._replace(is_temporary=False)


class FakeCluster:
    """Stores what is created. Pods succeed at the second look; `fail` raises for chosen requests."""

    def __init__(
        self,
        fail: Callable[[str, str], None] = lambda *_: None,
        status: dict[str, Any] | None = None,
        *,
        has_account: bool = True,
    ) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.fail = fail
        self.status = status
        self.has_account = has_account
        self.polls = 0
        self.now = 0.0
        self.seconds_per_list = 0.0

    @property
    def client(self) -> ApiClient:
        return cast("ApiClient", self)

    @property
    def timing(self) -> Timing:
        return Timing(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def create(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        path = f"{path}/{document['metadata']['name']}"
        self.fail("create", path)
        self.objects[path] = document
        self.fail("answer", path)
        return document

    def get_or_none(self, path: str) -> dict[str, Any] | None:
        self.fail("get", path)
        if path.endswith("serviceaccounts/default"):
            return {} if self.has_account else None
        return self.objects.get(path)

    def list(self, path: str, **_: Any) -> list[dict[str, Any]]:
        self.fail("list", path)
        if not path.endswith("/pods"):
            return []
        self.polls += 1
        self.now += self.seconds_per_list
        report = json.dumps({"problems": [], "node_metadata": {"state": "closed", "addresses": {}}})
        ended = {"terminated": {"exitCode": 0, "message": report}}
        status = self.status or {"phase": "Succeeded", "containerStatuses": [{"name": "probe", "state": ended}]}
        pods = [one for key, one in self.objects.items() if key.startswith(f"{path}/")]
        return [{**pod, "status": status if self.polls > 1 else {"phase": "Pending"}} for pod in pods]

    def delete(self, path: str) -> None:
        self.fail("delete", path)
        if path not in self.objects:
            raise NotFoundError("not found", 404, "not found")
        self.objects = {key: one for key, one in self.objects.items() if not f"{key}/".startswith(f"{path}/")}


def fail_at(verb: str, end: str, error: BaseException) -> Callable[[str, str], None]:
    def fail(actual: str, path: str) -> None:
        if actual == verb and path.endswith(end):
            raise error

    return fail


@pytest.mark.parametrize("plan", [TEMPORARY, GIVEN], ids=["temporary-namespace", "given-namespace"])
def test_all_pods_are_run_and_deleted(plan: ProbePlan) -> None:
    cluster = FakeCluster()

    run = run_probes(cluster.client, plan, cluster.timing)

    assert run.error == ""
    assert [(result.mode, result.problem) for result in run.value.results] == [(mode, "") for mode in Mode]
    assert run.value.leftover == ""
    assert cluster.objects == {}


@pytest.mark.parametrize("plan", [TEMPORARY, GIVEN], ids=["temporary-namespace", "given-namespace"])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), RuntimeError("bug"), ClusterError("the connection was lost")],
    ids=["ctrl-c", "bug", "connection-lost"],
)
def test_everything_is_deleted_whatever_ends_the_wait(plan: ProbePlan, error: BaseException) -> None:
    cluster = FakeCluster(fail_at("list", "/pods", error))

    if isinstance(error, ClusterError):
        assert run_probes(cluster.client, plan, cluster.timing).error == "the connection was lost"
    else:
        with pytest.raises(type(error)):
            run_probes(cluster.client, plan, cluster.timing)

    assert cluster.objects == {}


def test_sigterm_deletes_everything_and_restores_the_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    cluster = FakeCluster()

    def end(_: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run_probes(cluster.client, TEMPORARY, Timing(sleep=end))

    assert cluster.objects == {}
    assert signal.getsignal(signal.SIGTERM) is before


def test_interrupt_between_request_and_answer_of_a_creation_deletes_the_pod() -> None:
    """The API server may have stored it."""
    cluster = FakeCluster(fail_at("answer", PODS[0].name, KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        run_probes(cluster.client, GIVEN, cluster.timing)

    assert cluster.objects == {}


def test_failed_deletion_is_reported_with_the_command() -> None:
    cluster = FakeCluster(fail_at("delete", "", ForbiddenError("cannot delete it: forbidden (403)", 403, "forbidden")))

    run = run_probes(cluster.client, TEMPORARY, cluster.timing)

    assert run.value.leftover == "cannot delete it: forbidden (403). Run: kubectl delete namespace probes"


def test_failed_deletion_after_a_failed_run_is_part_of_the_error() -> None:
    def fail(verb: str, path: str) -> None:
        if verb in {"delete", "list"}:
            raise ClusterError(f"no {verb}")
        assert path

    run = run_probes(FakeCluster(fail).client, GIVEN)

    assert run.error.startswith("no list; no delete. Run: kubectl delete pods --namespace probes --selector ")


def test_failed_deletion_after_ctrl_c_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(verb: str, _: str) -> None:
        if verb == "delete":
            raise ClusterError("no delete")
        if verb == "list":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probes(FakeCluster(fail).client, TEMPORARY)

    assert "no delete. Run: kubectl delete namespace probes" in capsys.readouterr().err


def test_rejected_pod_is_a_result_and_the_others_run() -> None:
    name = next(pod.name for pod in PODS if pod.mode == Mode.BLOCK)
    rejection = ApiError("cannot create: exceeded quota (403)", 403, "exceeded quota")
    cluster = FakeCluster(fail_at("create", name, rejection))

    run = run_probes(cluster.client, GIVEN, cluster.timing)

    problems = {result.mode: result.problem for result in run.value.results}
    assert problems == {Mode.REDIRECT: "", Mode.ENV: "", Mode.BLOCK: "cannot create: exceeded quota (403)"}


def test_pods_that_never_end_are_waited_for_in_bounded_time() -> None:
    cluster = FakeCluster(status={"phase": "Pending"})

    run = run_probes(cluster.client, TEMPORARY, cluster.timing)

    assert [result.problem for result in run.value.results] == ["the pod is Pending"] * 3
    assert cluster.now == PROBES_SECONDS
    assert cluster.objects == {}


def test_slow_answers_do_not_extend_the_wait_for_pods_that_never_end() -> None:
    cluster = FakeCluster(status={"phase": "Pending"})
    cluster.seconds_per_list = 14

    run_probes(cluster.client, GIVEN, cluster.timing)

    assert cluster.now < PROBES_SECONDS + 2 * cluster.seconds_per_list


def test_namespace_without_a_service_account_is_an_error_after_bounded_time() -> None:
    cluster = FakeCluster(has_account=False)

    run = run_probes(cluster.client, TEMPORARY, cluster.timing)

    assert "namespace probes got no ServiceAccount within 30 s" in run.error
    assert cluster.objects == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("labelled", "has the label podrole.io/injection", id="labelled"),
        pytest.param("nope", "does not exist", id="unknown"),
        pytest.param("../../x", "is not the name of a namespace", id="path"),
    ],
)
def test_unsuitable_namespace_is_rejected(name: str, message: str) -> None:
    cluster = FakeCluster()
    cluster.objects["/api/v1/namespaces/labelled"] = {"metadata": {"labels": {"podrole.io/injection": "enabled"}}}

    with pytest.raises(ConfigError, match=message):
        check_namespace(cluster.client, name)


def test_plan_without_settings_of_the_webhook_is_rejected() -> None:
    state = build_cluster_state(deployment=None)

    with pytest.raises(ConfigError, match="the webhook's settings are unknown"):
        plan_probes(FakeCluster().client, state, {}, ProbeOptions())


def test_image_is_enough_before_the_installation() -> None:
    state = build_cluster_state(deployment=None, webhooks=[])

    plan = plan_probes(FakeCluster().client, state, {}, ProbeOptions(image="example/podrole-sidecar:2"))

    images = {one["image"] for pod in plan.pods for one in pod.manifest["spec"]["containers"]}
    assert images == {"example/podrole-sidecar:2"}


def test_image_replaces_that_of_the_webhook_and_keeps_its_other_settings() -> None:
    state = build_cluster_state(deployment=build_deployment({**ENVIRON, "PODROLE_REDIRECT_BACKEND": "iptables"}))

    plan = plan_probes(FakeCluster().client, state, {}, ProbeOptions(image="example/podrole-sidecar:2"))

    rules = [one for pod in plan.pods for one in pod.manifest["spec"]["initContainers"]]
    assert {one["image"] for one in rules} == {"example/podrole-sidecar:2"}
    assert all(one["command"][:2] == ["python3", "-m"] for one in rules)


def test_image_that_is_no_reference_is_rejected() -> None:
    with pytest.raises(ConfigError, match="PODROLE_SIDECAR_IMAGE"):
        plan_probes(FakeCluster().client, build_cluster_state(), {}, ProbeOptions(image="a b"))


def test_pods_are_placed_on_the_chosen_node_whatever_its_taints() -> None:
    plan = plan_probes(FakeCluster().client, build_cluster_state(), {}, ProbeOptions(node="n1"))
    elsewhere = plan_probes(FakeCluster().client, build_cluster_state(), {}, ProbeOptions())

    for pod in plan.pods:
        spec = pod.manifest["spec"]
        affinity = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [[field]] = [one["matchFields"] for one in affinity["nodeSelectorTerms"]]
        assert field == {"key": "metadata.name", "operator": "In", "values": ["n1"]}
        assert spec["tolerations"] == [{"operator": "Exists"}]
    assert all("affinity" not in pod.manifest["spec"] for pod in elsewhere.pods)


def test_printed_plan_has_the_namespace_and_all_pods() -> None:
    text = format_plan(plan_probes(FakeCluster().client, build_cluster_state(), {}, ProbeOptions()))

    assert text.count("kind: Pod\n") == 3
    assert text.count("kind: Namespace\n") == 1
    assert "&id" not in text
