"""Without the webhook, a pod brings containers with podrole's names: only those that the injector would add pass."""

import copy
from typing import Any

import pytest

from injector.decision.outcomes import Block, Inject
from testing.cases import Pod
from testing.cluster.api import ApiServer, RefusedError
from tests.integration.api_server.guard.cases import CASES, config_of
from tests.integration.api_server.guard.changed_pods import CHANGES, HARMLESS
from tests.integration.api_server.guard.pod_changes import Change
from tests.integration.api_server.guard.policies import REWRITES, UNSAFE
from tests.integration.api_server.guard.surroundings import MakeNamespace, make_surroundings
from tests.integration.api_server.test_shapes import REFUSED_BY_THE_SERVER

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "nftables": {},
    "iptables": {"redirect_backend": "iptables"},
    "node-source": UNSAFE,
    "env": {"mode": "env"},
}

INJECTED = [
    pytest.param(name, changes, id=f"{name}-{configuration}")
    for configuration, changes in CONFIGURATIONS.items()
    for name, case in CASES.items()
    if case.namespace and name not in REFUSED_BY_THE_SERVER
    if isinstance(case.decide(config_of(changes)), Inject | Block)
]


def make_injected(
    api: ApiServer, make_namespace: MakeNamespace, name: str = "role-on-the-pod", changes: dict[str, Any] | None = None
) -> Pod:
    """The pod that the injector would make of a pod of tests/pods, and its namespace."""
    pod = make_surroundings(api, make_namespace, CASES[name], changes or {})
    return CASES[name].with_pod(pod).inject(config_of(changes or {}))


@pytest.mark.parametrize(("name", "changes"), INJECTED)
def test_pod_with_all_that_the_injector_adds_passes(
    guarded: ApiServer, make_namespace: MakeNamespace, name: str, changes: dict[str, Any]
) -> None:
    pod = make_injected(guarded, make_namespace, name, changes)

    assert guarded.create(pod, pod["metadata"]["namespace"], dry_run=True).object["spec"]["initContainers"]


@pytest.mark.parametrize(("code", "change"), CHANGES.values(), ids=CHANGES)
def test_changed_container_is_refused(
    guarded: ApiServer, make_namespace: MakeNamespace, code: str, change: Change
) -> None:
    pod = copy.deepcopy(make_injected(guarded, make_namespace))
    change(pod)

    with pytest.raises(RefusedError, match=rf"podrole-pods.* denied request: \[{code}\] "):
        guarded.create(pod, pod["metadata"]["namespace"], dry_run=True)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_change_by_another_admission_plugin_passes(
    guarded: ApiServer, make_namespace: MakeNamespace, change: Change
) -> None:
    pod = copy.deepcopy(make_injected(guarded, make_namespace))
    change(pod)

    assert guarded.create(pod, pod["metadata"]["namespace"], dry_run=True).object["spec"]["initContainers"]


CUSTOM = {"template": "/template/template.yaml"}


@pytest.mark.parametrize("change", ["redirect-command", "sidecar-startup-probe", "redirect-mount-over-the-rules"])
def test_container_of_a_custom_template_passes(guarded: ApiServer, make_namespace: MakeNamespace, change: str) -> None:
    pod = copy.deepcopy(CASES["role-on-the-pod"].inject())
    pod["metadata"]["namespace"] = make_namespace(CUSTOM)
    CHANGES[change][1](pod)

    assert guarded.create(pod, pod["metadata"]["namespace"], dry_run=True).object["spec"]["initContainers"]


@pytest.mark.parametrize("change", ["redirect-image", "order", "no-redirect", "another-reserved-container"])
def test_name_order_or_image_unlike_a_custom_template_is_refused(
    guarded: ApiServer, make_namespace: MakeNamespace, change: str
) -> None:
    pod = copy.deepcopy(CASES["role-on-the-pod"].inject())
    pod["metadata"]["namespace"] = make_namespace(CUSTOM)
    code, change_pod = CHANGES[change]
    change_pod(pod)

    with pytest.raises(RefusedError, match=rf"podrole-pods.* denied request: \[{code}\] "):
        guarded.create(pod, pod["metadata"]["namespace"], dry_run=True)


def rewrite_images(pod: Pod, image: str) -> None:
    for container in pod["spec"]["initContainers"]:
        container["image"] = image


def test_image_that_the_operators_mirror_has_passes(guarded: ApiServer, make_namespace: MakeNamespace) -> None:
    pod = make_surroundings(guarded, make_namespace, CASES["role-on-the-pod"], REWRITES)
    pod = CASES["role-on-the-pod"].with_pod(pod).inject()
    rewrite_images(pod, "mirror.example/hub/podrole-sidecar:1")

    assert guarded.create(pod, pod["metadata"]["namespace"], dry_run=True).object["spec"]["initContainers"]


@pytest.mark.parametrize(
    ("changes", "image"),
    [
        pytest.param(REWRITES, "mirror.example/hub/evil:1", id="another-image-of-the-mirror"),
        pytest.param(REWRITES, "mirror.example/other/podrole-sidecar:1", id="replacement-of-another-prefix"),
        pytest.param(REWRITES, "evil.example/hub/podrole-sidecar:1", id="another-registry"),
        pytest.param({}, "mirror.example/hub/podrole-sidecar:1", id="without-the-setting"),
    ],
)
def test_any_other_rewritten_image_is_refused(
    guarded: ApiServer, make_namespace: MakeNamespace, changes: dict[str, Any], image: str
) -> None:
    pod = make_surroundings(guarded, make_namespace, CASES["role-on-the-pod"], changes)
    pod = CASES["role-on-the-pod"].with_pod(pod).inject()
    rewrite_images(pod, image)

    with pytest.raises(RefusedError, match=r"podrole-pods.* denied request: \[SidecarImageChanged\] "):
        guarded.create(pod, pod["metadata"]["namespace"], dry_run=True)
