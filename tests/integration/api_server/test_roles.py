"""Roles of pods, ServiceAccounts and namespaces, and the pods that the API server stores."""

import json

import pytest

from testing.cases import environment_of, find_container
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import (
    APP,
    OURS,
    READER,
    ROLE,
    TOKEN_DIRECTORY,
    build_pod,
    mounts_of,
    names_of,
    store,
)

both = pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])


def create_account(api: ApiServer, namespace: str, annotations: dict[str, str]) -> None:
    metadata = {"name": "worker", "annotations": annotations}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace)


def role_of(pod: dict[str, object]) -> object:
    return environment_of(find_container(pod, "podrole-sidecar"))["PODROLE_ROLE_ARN"]


@both
def test_role_on_the_pod_is_the_sidecars_role(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    stored = store(api, build_pod(), namespace, dry_run=dry_run)

    assert role_of(stored) == READER
    assert json.loads(stored["metadata"]["annotations"]["podrole.io/status"])["role"] == READER


@pytest.mark.parametrize(
    ("key", "role"),
    [("iam.amazonaws.com/role", "reader"), ("eks.amazonaws.com/role-arn", READER)],
    ids=["ours", "irsa"],
)
@both
def test_pod_gets_the_role_of_its_service_account(
    api: ApiServer, namespace: str, key: str, role: str, *, dry_run: bool
) -> None:
    create_account(api, namespace, {key: role})

    stored = store(api, build_pod({}, serviceAccountName="worker"), namespace, dry_run=dry_run)

    assert role_of(stored) == READER


@both
def test_pod_without_role_gets_the_role_of_its_namespace(
    api: ApiServer, namespaces: Namespaces, *, dry_run: bool
) -> None:
    namespace = namespaces.make(annotations={"podrole.io/default-role": "reader"})

    stored = store(api, build_pod({}), namespace, dry_run=dry_run)

    assert role_of(stored) == READER


def test_pod_overrides_account_and_account_overrides_namespace(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(annotations={"podrole.io/default-role": "of-namespace"})
    create_account(api, namespace, {"iam.amazonaws.com/role": "of-account"})

    of_pod = store(api, build_pod(serviceAccountName="worker"), namespace, dry_run=True)
    of_account = store(api, build_pod({}, serviceAccountName="worker"), namespace, dry_run=True)

    assert role_of(of_pod) == READER
    assert role_of(of_account) == "arn:aws:iam::111122223333:role/of-account"


@both
def test_pod_without_role_gets_only_the_blocking_rules(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    stored = store(api, build_pod({}), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == ["podrole-redirect"]
    assert find_container(stored, "podrole-redirect")["command"][-1] == "/etc/podrole/block.nft"


@both
def test_injected_containers_come_before_all_others(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    own = [{"name": "migrate", "image": "example/app:1"}, {**APP, "name": "cache", "restartPolicy": "Always"}]

    stored = store(api, build_pod(initContainers=own), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == [*OURS, "migrate", "cache"]
    for name in ("migrate", "cache", "app"):
        assert environment_of(find_container(stored, name)) == {
            "PODROLE_POD_UID": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}},
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/$(PODROLE_POD_UID)",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }


@both
def test_api_token_is_mounted_only_in_app_containers(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    stored = store(api, build_pod(), namespace, dry_run=dry_run)

    assert mounts_of(find_container(stored, "app"))[TOKEN_DIRECTORY].startswith("kube-api-access-")
    assert "podrole-token" not in mounts_of(find_container(stored, "app")).values()
    for name in OURS:
        assert mounts_of(find_container(stored, name)) == {TOKEN_DIRECTORY: "podrole-token"}


@both
def test_pod_in_a_namespace_without_the_label_is_unchanged(
    api: ApiServer, namespaces: Namespaces, *, dry_run: bool
) -> None:
    namespace = namespaces.make(labels={})

    stored = store(api, build_pod(), namespace, dry_run=dry_run)

    assert stored["metadata"]["annotations"] == ROLE
    assert "initContainers" not in stored["spec"]
    assert "env" not in stored["spec"]["containers"][0]


def test_label_with_another_value_does_not_turn_injection_on(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels=dict.fromkeys(ENABLED, "disabled"))

    stored = store(api, build_pod(), namespace)

    assert "initContainers" not in stored["spec"]


def test_dry_run_stores_nothing(api: ApiServer, namespace: str) -> None:
    stored = store(api, build_pod(), namespace, dry_run=True)

    assert names_of(stored, "initContainers") == OURS
    assert api.list("Pod", namespace) == []


def test_sidecar_gets_its_token_without_an_automounted_one(api: ApiServer, namespace: str) -> None:
    stored = store(api, build_pod(automountServiceAccountToken=False), namespace)

    assert mounts_of(find_container(stored, "app")) == {}
    assert mounts_of(find_container(stored, "podrole-sidecar")) == {TOKEN_DIRECTORY: "podrole-token"}
