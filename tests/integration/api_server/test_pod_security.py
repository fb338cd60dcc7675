"""Pod Security: the redirect needs NET_ADMIN, and nothing else that is injected violates a level."""

import re

import pytest

from testing.cases import environment_of, find_container
from testing.cluster.api import ApiServer, RefusedError
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import APP, OURS, build_pod, names_of, renew, store

ENFORCE = "pod-security.kubernetes.io/enforce"
RESTRICTED_CONTAINER = {
    **APP,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
both = pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])


@pytest.mark.parametrize("level", ["baseline", "restricted"])
@both
def test_pod_is_injected_in_env_mode_if_pod_security_forbids_redirect(
    api: ApiServer, namespaces: Namespaces, level: str, *, dry_run: bool
) -> None:
    namespace = namespaces.make(labels=ENABLED | {ENFORCE: level})

    stored = store(api, build_pod(containers=[RESTRICTED_CONTAINER]), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == ["podrole-sidecar"]
    assert environment_of(find_container(stored, "podrole-sidecar"))["PODROLE_MODE"] == "env"
    variables = environment_of(find_container(stored, "app"))
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:16925/v2/credentials/$(PODROLE_POD_UID)"
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" not in variables


def test_env_mode_warns_the_client_about_the_metadata_service(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels=ENABLED | {ENFORCE: "restricted"})

    answer = api.create(build_pod(containers=[RESTRICTED_CONTAINER]), namespace)

    assert any("169.254.169.254" in warning for warning in answer.warnings)


def test_pod_without_role_is_unchanged_if_pod_security_forbids_redirect(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels=ENABLED | {ENFORCE: "baseline"})

    answer = api.create(build_pod({}), namespace)

    assert "initContainers" not in answer.object["spec"]
    assert any(warning.startswith("No role is configured for this pod") for warning in answer.warnings)


def test_redirect_mode_violates_restricted_only_by_net_admin(api: ApiServer, namespaces: Namespaces) -> None:
    injected = store(api, build_pod(containers=[RESTRICTED_CONTAINER]), namespaces.make())
    restricted = namespaces.make(labels={ENFORCE: "restricted"})

    with pytest.raises(RefusedError) as refusal:
        api.create(renew(injected), restricted)

    _, violations = str(refusal.value).split('violates PodSecurity "restricted:latest": ')
    assert re.fullmatch(
        r'unrestricted capabilities \(container "podrole-redirect" must not include "NET_ADMIN" in '
        r"securityContext\.capabilities\.add\)",
        violations,
    )


def test_pod_in_namespace_that_only_warns_gets_the_redirect(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels=ENABLED | {"pod-security.kubernetes.io/warn": "restricted"})

    answer = api.create(build_pod(containers=[RESTRICTED_CONTAINER]), namespace)

    assert names_of(answer.object, "initContainers") == OURS
    assert any("NET_ADMIN" in warning and "podrole-sidecar" not in warning for warning in answer.warnings)
