"""Every pod of tests/pods, created in a dry run and for real: the API server stores what the injector patched."""

from typing import Any

import pytest

from injector.decision.outcomes import Block, Deny, Inject
from injector.reasons import Reason
from testing.cases import PODS, Case, all_containers, find_container, load_case
from testing.cluster.api import Answer, ApiServer, RefusedError
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import build_pod, find_losses, store
from tests.integration.api_server.accounts import move_into

pytestmark = pytest.mark.usefixtures("runtime_classes")

CASES = {path.stem: case for path in sorted(PODS.glob("*.yaml")) if (case := load_case(path.stem)).namespace}
REFUSED_BY_THE_SERVER = {
    "null-containers": "spec.containers: Required value",
    "unknown-fields": 'Invalid value: "example.com/a~b"',
    "pod-security-restricted": 'violates PodSecurity "restricted:latest"',
    "pod-security-without-role": 'violates PodSecurity "restricted:latest"',
}
"""Pods that the API server rejects with or without injection."""

ALLOWED = [name for name in CASES if not isinstance(CASES[name].decide(), Deny) and name not in REFUSED_BY_THE_SERVER]
DENIED = [name for name in CASES if isinstance(CASES[name].decide(), Deny)]


def make_surroundings(api: ApiServer, namespaces: Namespaces, case: Case) -> Case:
    """Create the namespace and account of the case; return the case in that namespace."""
    assert case.namespace is not None
    return case.with_pod(move_into(namespaces.make(case.namespace.labels, case.namespace.annotations), api, case))


def create_both(api: ApiServer, pod: dict[str, Any]) -> list[Answer]:
    """Create the pod in a dry run, then for real; yield both results."""
    namespace = pod["metadata"]["namespace"]
    tried, created = (api.create(pod, namespace, dry_run=dry_run) for dry_run in (True, False))
    stored = api.read("Pod", created.object["metadata"]["name"], namespace)
    return [tried, Answer(stored, created.warnings)]


def mean(case: Case) -> tuple[dict[str, Any], list[str]]:
    """The expected pod and warnings."""
    decision = case.decide()
    if isinstance(decision, Inject | Block):
        patch, warnings = case.build_patch()
        return patch.apply(case.pod), warnings
    assert not isinstance(decision, Deny)
    return case.pod, [warning.text for warning in decision.warnings]


@pytest.mark.parametrize("name", ALLOWED)
def test_stored_pod_matches_the_injectors_patch(api: ApiServer, namespaces: Namespaces, name: str) -> None:
    case = make_surroundings(api, namespaces, CASES[name])
    meant, warnings = mean(case)

    for answer in create_both(api, case.pod):
        assert list(find_losses(meant, answer.object)) == []
        assert [c["name"] for c in all_containers(answer.object)] == [c["name"] for c in all_containers(meant)]
        assert sorted(answer.warnings) == sorted(warnings)


@pytest.mark.parametrize("name", DENIED)
def test_denial_has_all_reasons(api: ApiServer, namespaces: Namespaces, name: str) -> None:
    case = make_surroundings(api, namespaces, CASES[name])
    decision = case.decide()
    assert isinstance(decision, Deny)

    for dry_run in (True, False):
        with pytest.raises(RefusedError) as refusal:
            api.create(case.pod, case.pod["metadata"]["namespace"], dry_run=dry_run)

        for explanation in decision.explanations:
            code = "" if explanation.reason is Reason.MORE else f"[{explanation.reason.code}] "
            assert f" {code}{explanation.text}" in str(refusal.value)


@pytest.mark.parametrize(("name", "sentence"), REFUSED_BY_THE_SERVER.items(), ids=REFUSED_BY_THE_SERVER)
def test_invalid_pod_is_rejected_without_mentioning_injected_containers(
    api: ApiServer, namespaces: Namespaces, name: str, sentence: str
) -> None:
    case = make_surroundings(api, namespaces, CASES[name])

    with pytest.raises(RefusedError) as refusal:
        api.create(case.pod, case.pod["metadata"]["namespace"])

    assert sentence in str(refusal.value)
    assert "podrole" not in str(refusal.value).replace(case.pod["metadata"]["namespace"], "")


SPECS = {
    "several-containers": {
        "containers": [{"name": name, "image": "example/app:1"} for name in ("one", "two", "three")]
    },
    "volumes": {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "more", "configMap": {"name": "settings"}}]},
    "image-pull-secrets": {"imagePullSecrets": [{"name": "registry"}]},
    "names-of-its-own": {
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.53"]},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["sts.example.com"]}],
    },
    "ports": {"containers": [{"name": "app", "image": "example/app:1", "ports": [{"containerPort": 16925}]}]},
    "user-namespace": {"hostUsers": False},
    "shared-processes": {"shareProcessNamespace": True},
    "linux": {"os": {"name": "linux"}},
    "one-user-for-all": {"securityContext": {"runAsUser": 0, "runAsNonRoot": False, "fsGroup": 2000}},
    "never-root": {"securityContext": {"runAsNonRoot": True}},
    "security-profiles": {
        "securityContext": {"seccompProfile": {"type": "Unconfined"}, "appArmorProfile": {"type": "Unconfined"}}
    },
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_pod_spec_is_kept_and_does_not_change_the_sidecar(api: ApiServer, namespace: str, spec: dict[str, Any]) -> None:
    pod = build_pod(**spec)

    stored = store(api, pod, namespace)

    assert list(find_losses(pod, stored)) == []
    context = find_container(stored, "podrole-sidecar")["securityContext"]
    assert (context["runAsUser"], context["runAsNonRoot"]) == (16925, True)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
