"""The differences between an injected pod and a new injection of it, part by part."""

from collections.abc import Callable

import pytest

from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Inject
from injector.patch.plan import plan_injection
from injector.patch.template import load_template
from podrole.diagnosis.pods.drift import find_drift
from testing.cases import (
    CONFIG,
    Case,
    Pod,
    add_api_defaults,
    build_case,
    find_container,
    load_case,
    load_injectable_cases,
)
from tests.unit.podrole.diagnosis.states import build_running_pod


def list_differences(pod: Pod, case: Case) -> list[str]:
    decision = decide(case.pod, ClusterContext(case.namespace, case.service_account, None), CONFIG)
    assert isinstance(decision, Inject | Block)
    return [*find_drift(pod, plan_injection(decision, pod, load_template(CONFIG), CONFIG))]


@pytest.mark.parametrize("name", load_injectable_cases())
def test_defaults_of_the_api_server_are_no_difference(name: str) -> None:
    case = load_case(name)

    assert list_differences(add_api_defaults(case.inject()), case) == []


@pytest.mark.parametrize(
    ("before", "after", "differences"),
    [
        pytest.param((), ("registry",), ["imagePullSecrets lacks registry"], id="missing"),
        pytest.param(("registry",), ("registry",), [], id="same"),
        pytest.param(("registry",), (), ["imagePullSecrets has registry, of an earlier setting"], id="former"),
        pytest.param(
            ("old", "registry"),
            ("registry", "new"),
            ["imagePullSecrets lacks new", "imagePullSecrets has old, of an earlier setting"],
            id="both",
        ),
        pytest.param((), (), [], id="own"),
    ],
)
def test_pull_secrets_of_another_setting_are_a_difference(
    before: tuple[str, ...], after: tuple[str, ...], differences: list[str]
) -> None:
    case = build_case(imagePullSecrets=[{"name": "own"}])
    pod = case.inject(CONFIG._replace(image_pull_secrets=before))
    config = CONFIG._replace(image_pull_secrets=after)
    decision = case.decide(config)
    assert isinstance(decision, Inject)

    plan = plan_injection(decision, pod, load_template(config), config)

    assert [*find_drift(pod, plan)] == differences


def change_image(pod: Pod) -> None:
    find_container(pod, "podrole-sidecar")["image"] = "evil/sidecar:1"


def change_command(pod: Pod) -> None:
    find_container(pod, "podrole-redirect")["command"] = ["true"]


def change_region(pod: Pod) -> None:
    env = find_container(pod, "podrole-sidecar")["env"]
    next(one for one in env if one["name"] == "PODROLE_REGION")["value"] = "us-east-1"


def drop_user(pod: Pod) -> None:
    find_container(pod, "podrole-sidecar")["securityContext"].pop("runAsUser")


def drop_sidecar(pod: Pod) -> None:
    pod["spec"]["initContainers"].pop(1)


def add_podrole_container(pod: Pod) -> None:
    pod["spec"]["initContainers"].append({"name": "podrole-extra", "image": "x:1"})


def put_in_front(pod: Pod) -> None:
    pod["spec"]["initContainers"].insert(
        0, {"name": "mesh-init", "image": "mesh:1", "env": find_container(pod, "app")["env"]}
    )


def swap(pod: Pod) -> None:
    pod["spec"]["initContainers"].reverse()


def drop_volume(pod: Pod) -> None:
    pod["spec"]["volumes"] = [one for one in pod["spec"]["volumes"] if one["name"] != "podrole-token"]


def change_volume(pod: Pod) -> None:
    volume = next(one for one in pod["spec"]["volumes"] if one["name"] == "podrole-token")
    volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] = "vault"


def mount_token(pod: Pod) -> None:
    find_container(pod, "app")["volumeMounts"] = [{"name": "podrole-token", "mountPath": "/t"}]


def drop_environment(pod: Pod) -> None:
    find_container(pod, "app")["env"] = []


CHANGES: dict[Callable[[Pod], None], str] = {
    change_image: "container podrole-sidecar: image is evil/sidecar:1 and would be example/podrole-sidecar:1",
    change_command: 'container podrole-redirect: command is ["true"] and would be ["nft", ',
    change_region: "container podrole-sidecar: PODROLE_REGION is us-east-1 and would be eu-west-1",
    drop_user: "container podrole-sidecar: securityContext.runAsUser is absent and would be 16925",
    drop_sidecar: "container podrole-sidecar is missing",
    add_podrole_container: "container podrole-extra is unexpected",
    put_in_front: "mesh-init in spec.initContainers runs before the redirect rules are loaded",
    swap: "podrole's containers are in the order podrole-sidecar, podrole-redirect",
    drop_volume: "volume podrole-token is missing",
    change_volume: "volume podrole-token is different: the audience is vault and would be sts.amazonaws.com",
    mount_token: "container app mounts podrole's volume podrole-token",
    drop_environment: (
        "container app: PODROLE_POD_UID, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_REGION, AWS_DEFAULT_REGION "
        "would be set"
    ),
}
"""A change of an injected pod, and the start of the clause that reports it."""


@pytest.mark.parametrize(("change", "clause"), CHANGES.items(), ids=[change.__name__ for change in CHANGES])
def test_each_change_is_reported_once_by_its_name(change: Callable[[Pod], None], clause: str) -> None:
    pod = build_running_pod()
    change(pod)

    clauses = list_differences(pod, build_case())

    assert [found.startswith(clause) for found in clauses] == [True]
    assert len(clauses[0]) < 400
