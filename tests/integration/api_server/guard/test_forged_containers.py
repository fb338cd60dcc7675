"""Without the webhook, a pod brings containers with podrole's names: only those that the injector would add pass."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from injector.config import Config
from injector.decision.outcomes import Block, Inject
from injector.patch.template import load_template
from testing.cases import ENVIRON, PODS, Pod, load_case
from testing.cluster.api import ApiServer, RefusedError
from tests.integration.api_server.guard.policies import UNSAFE, build_settings
from tests.integration.api_server.guard.surroundings import MakeNamespace, make_surroundings
from tests.integration.api_server.test_shapes import REFUSED_BY_THE_SERVER

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "nftables": {},
    "iptables": {"redirect_backend": "iptables"},
    "node-source": UNSAFE,
    "env": {"mode": "env"},
}
CASES = {path.stem: load_case(path.stem) for path in sorted(PODS.glob("*.yaml"))}
REDIRECT, SIDECAR = 0, 1
Change = Callable[[Pod], object]


def config_of(changes: dict[str, Any]) -> Config:
    return Config.from_environ({**ENVIRON, **build_settings(changes)})


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


def set_field(index: int, field: str, value: Any) -> Change:
    """Set a field of an injected container; the names of nested fields are separated by dots."""

    def change(pod: Pod) -> None:
        *parents, last = field.split(".")
        owner = pod["spec"]["initContainers"][index]
        for parent in parents:
            owner = owner.setdefault(parent, {})
        if value is None:
            del owner[last]
        else:
            owner[last] = value

    return change


def reverse(pod: Pod) -> None:
    pod["spec"]["initContainers"].reverse()


def put_first(pod: Pod) -> None:
    pod["spec"]["initContainers"].insert(0, {"name": "first", "image": "example/app:1"})


def put_between(pod: Pod) -> None:
    pod["spec"]["initContainers"].insert(1, {"name": "between", "image": "example/app:1"})


def remove_redirect(pod: Pod) -> None:
    del pod["spec"]["initContainers"][REDIRECT]


def remove_sidecar(pod: Pod) -> None:
    del pod["spec"]["initContainers"][SIDECAR]


def move_to_containers(pod: Pod) -> None:
    pod["spec"]["containers"] += pod["spec"].pop("initContainers")
    for container in pod["spec"]["containers"]:
        container.pop("restartPolicy", None)


def add_reserved_container(pod: Pod) -> None:
    pod["spec"]["containers"].append({"name": "podrole-extra", "image": "example/app:1"})


def mount_into_app(volume: str) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["containers"][0]["volumeMounts"] = [{"name": volume, "mountPath": "/mnt"}]
        if volume not in [each["name"] for each in pod["spec"]["volumes"]]:
            pod["spec"]["volumes"].append({"name": volume, "emptyDir": {}})

    return change


def mount_over(index: int, path: str, **fields: Any) -> Change:
    def change(pod: Pod) -> None:
        mount = {"name": "mine", "mountPath": path, **fields}
        pod["spec"]["volumes"].append({"name": mount["name"], "emptyDir": {}})
        pod["spec"]["initContainers"][index]["volumeMounts"].append(mount)

    return change


TOKEN = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 3600, "path": "token"}}
FILES = {"configMap": {"name": "mine"}}
MINE: dict[str, dict[str, Any]] = {
    "config-map": {"configMap": {"name": "mine"}},
    "secret": {"secret": {"secretName": "mine"}},
    "empty-directory": {"emptyDir": {}},
    "claim": {"persistentVolumeClaim": {"claimName": "mine"}},
    "host-path": {"hostPath": {"path": "/tmp"}},
    "files-beside-a-token": {"projected": {"sources": [TOKEN, FILES]}},
}
"""Volumes whose content an author chooses."""


def mount_volume(index: int, path: str, source: dict[str, Any]) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["volumes"].append({"name": "mine", **source})
        pod["spec"]["initContainers"][index]["volumeMounts"].append({"name": "mine", "mountPath": path})

    return change


def replace_volume(name: str, source: dict[str, Any]) -> Change:
    """Give one of podrole's volumes another source; mount it in the sidecar if it is not."""

    def change(pod: Pod) -> None:
        spec = pod["spec"]
        spec["volumes"] = [*(each for each in spec["volumes"] if each["name"] != name), {"name": name, **source}]
        mounts = spec["initContainers"][SIDECAR]["volumeMounts"]
        if name not in [mount["name"] for mount in mounts]:
            mounts.append({"name": name, "mountPath": "/run/podrole"})

    return change


def unmask_proc(pod: Pod) -> None:
    pod["spec"]["hostUsers"] = False
    pod["spec"]["initContainers"][REDIRECT]["securityContext"]["procMount"] = "Unmasked"


def use_block_device(pod: Pod) -> None:
    pod["spec"]["volumes"].append({"name": "mine", "persistentVolumeClaim": {"claimName": "mine"}})
    pod["spec"]["initContainers"][REDIRECT]["volumeDevices"] = [
        {"name": "mine", "devicePath": "/etc/podrole/redirect.nft"}
    ]


def unmount_token(pod: Pod) -> None:
    pod["spec"]["initContainers"][SIDECAR]["volumeMounts"] = []


def add_variable(index: int, name: str) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["initContainers"][index].setdefault("env", []).insert(0, {"name": name, "value": "/proc/self/cwd"})

    return change


def move_token(pod: Pod) -> None:
    pod["spec"]["initContainers"][SIDECAR]["volumeMounts"][0]["mountPath"] = "/var/run/secrets/elsewhere"


def set_app_context(key: str) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["containers"][0]["securityContext"] = {key: 16925}

    return change


def set_pod_context(key: str, value: Any = 16925) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["securityContext"] = {"runAsUser": 1, key: value}

    return change


def add_init_container_as_sidecar(pod: Pod) -> None:
    container = {"name": "init", "image": "example/app:1", "securityContext": {"runAsUser": 16925}}
    pod["spec"]["initContainers"].append(container)


def use_host_network(pod: Pod) -> None:
    pod["spec"]["hostNetwork"] = True


HOOK = {"exec": {"command": ["sh"]}}
PROBE = {"exec": {"command": ["sh"]}, "periodSeconds": 1}
CHANGES: dict[str, tuple[str, Change]] = {
    "redirect-image": ("SidecarImageChanged", set_field(REDIRECT, "image", "example/evil:1")),
    "redirect-image-of-a-repository-below": (
        "SidecarImageChanged",
        set_field(REDIRECT, "image", "example/podrole-sidecar/evil:1"),
    ),
    "redirect-image-of-another-registry": (
        "SidecarImageChanged",
        set_field(REDIRECT, "image", "evil.example:5000/example/podrole-sidecar:1"),
    ),
    "redirect-image-with-the-name-as-tag": (
        "SidecarImageChanged",
        set_field(REDIRECT, "image", "evil:podrole-sidecar"),
    ),
    "sidecar-image": ("SidecarImageChanged", set_field(SIDECAR, "image", "example/evil:1")),
    "redirect-command": ("SidecarChanged", set_field(REDIRECT, "command", ["true"])),
    "redirect-of-the-source-node": (
        "SidecarChanged",
        set_field(
            REDIRECT,
            "command",
            load_template(config_of(UNSAFE)).redirect_node["command"],
        ),
    ),
    "redirect-without-command": ("SidecarChanged", set_field(REDIRECT, "command", None)),
    "redirect-args": ("SidecarChanged", set_field(REDIRECT, "args", ["-c"])),
    "redirect-restart-policy": ("SidecarChanged", set_field(REDIRECT, "restartPolicy", "Always")),
    "redirect-user": ("SidecarChanged", set_field(REDIRECT, "securityContext.runAsUser", 16925)),
    "redirect-group": ("SidecarChanged", set_field(REDIRECT, "securityContext.runAsGroup", 16925)),
    "redirect-capabilities": ("SidecarChanged", set_field(REDIRECT, "securityContext.capabilities.add", [])),
    "redirect-security-context": ("SidecarChanged", set_field(REDIRECT, "securityContext", None)),
    "redirect-working-directory": ("SidecarChanged", set_field(REDIRECT, "workingDir", "/dev/shm")),
    "redirect-termination-message-over-the-rules": (
        "SidecarChanged",
        set_field(REDIRECT, "terminationMessagePath", "/etc/podrole/redirect.nft"),
    ),
    "redirect-env-from": ("SidecarChanged", set_field(REDIRECT, "envFrom", [{"configMapRef": {"name": "mine"}}])),
    "redirect-mount-over-the-rules": ("SidecarChanged", mount_over(REDIRECT, "/etc/podrole")),
    "redirect-mount-with-dots": ("SidecarChanged", mount_over(REDIRECT, "/var/run/secrets/../../../etc/podrole")),
    "redirect-block-device-over-the-rules": ("SidecarChanged", use_block_device),
    "redirect-library": ("SidecarChanged", add_variable(REDIRECT, "LD_PRELOAD")),
    **{
        f"{name}-of-the-{kind}": ("SidecarChanged", add_variable(index, name))
        for kind, index in (("redirect", REDIRECT), ("sidecar", SIDECAR))
        for name in ("PATH", "HOME", "XTABLES_LIBDIR", "OPENSSL_CONF", "SSL_CERT_FILE", "GCONV_PATH", "PYTHONSTARTUP")
    },
    **{
        f"{kind}-below-the-secrets-of-the-{container}": (
            "SidecarChanged",
            mount_volume(index, "/var/run/secrets/mine", source),
        )
        for container, index in (("redirect", REDIRECT), ("sidecar", SIDECAR))
        for kind, source in MINE.items()
    },
    **{
        f"{kind}-as-the-token": ("SidecarChanged", replace_volume("podrole-token", source))
        for kind, source in MINE.items()
    },
    **{
        f"{kind}-as-the-run-directory": ("SidecarChanged", replace_volume("podrole-run", source))
        for kind, source in MINE.items()
        if kind != "empty-directory"
    },
    "redirect-with-an-unmasked-proc": ("SidecarChanged", unmask_proc),
    "sidecar-command": ("SidecarChanged", set_field(SIDECAR, "command", ["sleep", "1000"])),
    "sidecar-args": ("SidecarChanged", set_field(SIDECAR, "args", ["-c"])),
    "sidecar-user": ("SidecarChanged", set_field(SIDECAR, "securityContext.runAsUser", 0)),
    "sidecar-escalation": (
        "SidecarChanged",
        set_field(SIDECAR, "securityContext.allowPrivilegeEscalation", value=True),
    ),
    "sidecar-writable-root": (
        "SidecarChanged",
        set_field(SIDECAR, "securityContext.readOnlyRootFilesystem", value=False),
    ),
    "sidecar-capabilities": ("SidecarChanged", set_field(SIDECAR, "securityContext.capabilities.add", ["NET_ADMIN"])),
    "sidecar-kept-capabilities": ("SidecarChanged", set_field(SIDECAR, "securityContext.capabilities.drop", [])),
    "sidecar-post-start": ("SidecarChanged", set_field(SIDECAR, "lifecycle.postStart", HOOK)),
    "sidecar-pre-stop": ("SidecarChanged", set_field(SIDECAR, "lifecycle.preStop", HOOK)),
    "sidecar-startup-probe": ("SidecarChanged", set_field(SIDECAR, "startupProbe", PROBE)),
    "sidecar-liveness-probe": ("SidecarChanged", set_field(SIDECAR, "livenessProbe", PROBE)),
    "sidecar-readiness-probe": ("SidecarChanged", set_field(SIDECAR, "readinessProbe", PROBE)),
    "sidecar-mount-over-its-code": ("SidecarChanged", mount_over(SIDECAR, "/app")),
    "sidecar-without-token": ("SidecarChanged", unmount_token),
    "sidecar-with-its-token-elsewhere": ("SidecarChanged", move_token),
    "sidecar-group": ("SidecarChanged", set_field(SIDECAR, "securityContext.runAsGroup", 0)),
    "sidecar-run-directory-over-its-code": ("SidecarChanged", mount_over(SIDECAR, "/app", name="podrole-run")),
    "sidecar-tunables-of-the-c-library": ("SidecarChanged", add_variable(SIDECAR, "GLIBC_TUNABLES")),
    "sidecar-python-path": ("SidecarChanged", add_variable(SIDECAR, "PYTHONPATH")),
    "order": ("SidecarMissing", reverse),
    "container-before-the-redirect": ("SidecarMissing", put_first),
    "container-before-the-sidecar": ("SidecarMissing", put_between),
    "no-redirect": ("SidecarMissing", remove_redirect),
    "no-sidecar": ("SidecarMissing", remove_sidecar),
    "not-as-init-containers": ("SidecarMissing", move_to_containers),
    "another-reserved-container": ("ReservedName", add_reserved_container),
    "token-in-the-app": ("ReservedName", mount_into_app("podrole-token")),
    "run-directory-in-the-app": ("ReservedName", mount_into_app("podrole-run")),
    "another-reserved-volume": ("ReservedName", mount_into_app("podrole-other")),
    "app-as-the-sidecars-user": ("ReservedUser", set_app_context("runAsUser")),
    "app-in-the-sidecars-group": ("ReservedUser", set_app_context("runAsGroup")),
    "init-container-as-the-sidecars-user": ("ReservedUser", add_init_container_as_sidecar),
    "pod-as-the-sidecars-user": ("ReservedUser", set_pod_context("runAsUser")),
    "pod-in-the-sidecars-group": ("ReservedUser", set_pod_context("runAsGroup")),
    "pod-with-files-of-the-sidecars-group": ("ReservedUser", set_pod_context("fsGroup")),
    "pod-with-the-sidecars-group-among-others": ("ReservedUser", set_pod_context("supplementalGroups", [1, 16925])),
    "host-network": ("UnsupportedPodWithRole", use_host_network),
}


@pytest.mark.parametrize(("code", "change"), CHANGES.values(), ids=CHANGES)
def test_changed_container_is_refused(
    guarded: ApiServer, make_namespace: MakeNamespace, code: str, change: Change
) -> None:
    pod = copy.deepcopy(make_injected(guarded, make_namespace))
    change(pod)

    with pytest.raises(RefusedError, match=rf"podrole-pods.* denied request: \[{code}\] "):
        guarded.create(pod, pod["metadata"]["namespace"], dry_run=True)


HARMLESS: dict[str, Change] = {
    "another-tag-during-an-upgrade": set_field(REDIRECT, "image", "example/podrole-sidecar:2"),
    "a-digest": set_field(SIDECAR, "image", "example/podrole-sidecar:2@sha256:" + "0" * 64),
    "resources-of-a-limit-range": set_field(SIDECAR, "resources", {"limits": {"cpu": "1"}}),
    "pull-policy": set_field(SIDECAR, "imagePullPolicy", "Always"),
    "variable-of-a-monitoring-agent": add_variable(REDIRECT, "DD_AGENT_HOST"),
    "token-of-irsa": mount_volume(
        SIDECAR, "/var/run/secrets/eks.amazonaws.com/serviceaccount", {"projected": {"sources": [TOKEN]}}
    ),
}


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
