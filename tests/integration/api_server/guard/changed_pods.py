"""Changes of an injected pod: those that the guard refuses, with the code of its message, and harmless ones."""

from injector.patch.template import load_template
from tests.integration.api_server.guard.cases import config_of
from tests.integration.api_server.guard.pod_changes import (
    MINE,
    REDIRECT,
    SIDECAR,
    TOKEN,
    Change,
    add_init_container_as_sidecar,
    add_reserved_container,
    add_variable,
    mount_into_app,
    mount_over,
    mount_volume,
    move_to_containers,
    move_token,
    put_between,
    put_first,
    remove_redirect,
    remove_sidecar,
    replace_volume,
    reverse,
    set_app_context,
    set_field,
    set_pod_context,
    unmask_proc,
    unmount_token,
    use_block_device,
    use_host_network,
)
from tests.integration.api_server.guard.policies import UNSAFE

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
