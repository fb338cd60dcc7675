"""Pods that a running injector changed pass the guard, also after a second call and beside other webhooks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from injector.config import Config
from injector.decision.outcomes import Deny, Inject
from testing.cases import ENVIRON, PODS, load_case
from testing.cluster.api import ApiServer, wait_for
from testing.cluster.namespaces import ENABLED
from testing.cluster.pods import OURS, build_pod, names_of, renew, store
from tests.integration.api_server.guard.policies import build_settings
from tests.integration.api_server.guard.surroundings import MakeNamespace, make_surroundings
from tests.integration.api_server.test_shapes import REFUSED_BY_THE_SERVER
from tests.integration.api_server.webhooks import build_configuration, run_mesh

Webhook = dict[str, Any]
CASES = {path.stem: load_case(path.stem) for path in sorted(PODS.glob("*.yaml"))}
NAMES = [name for name, case in CASES.items() if case.namespace and name not in REFUSED_BY_THE_SERVER]
MESH_LABEL = {"example.com/mesh": "enabled"}
PASSTHROUGH = {"podrole.io/metadata-passthrough": "true"}
ALLOW_LIST = {"iam.amazonaws.com/allowed-roles": '["*"]'}


@pytest.mark.parametrize("name", NAMES)
def test_pod_that_the_injector_allows_passes(
    guarded: ApiServer, make_namespace: MakeNamespace, webhook: Webhook, name: str
) -> None:
    config = Config.from_environ({**ENVIRON, **build_settings(webhook["changes"])})
    decision = CASES[name].decide(config)
    if isinstance(decision, Deny):
        return
    pod = make_surroundings(guarded, make_namespace, CASES[name], webhook["changes"], webhook["label"])

    def is_injected() -> bool:
        created = guarded.create(pod, pod["metadata"]["namespace"], dry_run=True).object
        return ("podrole-sidecar" in names_of(created, "initContainers")) == isinstance(decision, Inject)

    wait_for("the injector knows the annotations of the ServiceAccount", is_injected)


def test_injected_pod_passes_again_after_a_limit_range_changed_it(
    guarded: ApiServer, make_namespace: MakeNamespace, webhook: Webhook
) -> None:
    namespace = make_namespace(webhook["changes"], ENABLED | webhook["label"], ALLOW_LIST)
    limits = {"limits": [{"type": "Container", "default": {"cpu": "300m"}}]}
    guarded.create(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": limits}, namespace
    )

    first = store(guarded, build_pod(), namespace)
    second = store(guarded, renew(first), namespace)

    assert names_of(first, "initContainers") == names_of(second, "initContainers") == OURS


def test_pod_with_allowed_passthrough_passes(
    guarded: ApiServer, make_namespace: MakeNamespace, webhook: Webhook
) -> None:
    if "allow_overrides" not in webhook["changes"]:
        return
    namespace = make_namespace(webhook["changes"], ENABLED | webhook["label"], ALLOW_LIST)

    stored = store(guarded, build_pod({"iam.amazonaws.com/role": "reader", **PASSTHROUGH}), namespace)

    assert stored["spec"]["initContainers"][0]["command"][-1] == "/etc/podrole/redirect-node.nft"


@pytest.fixture(params=["aa-mesh", "zz-mesh"], ids=["before-podrole", "after-podrole"])
def meshed(
    request: pytest.FixtureRequest,
    guarded: ApiServer,
    make_namespace: MakeNamespace,
    webhook: Webhook,
    tmp_path: Path,
) -> Iterator[str]:
    """A namespace of both webhooks. The API server calls them in the order of their configurations' names."""
    hook = {"name": "mesh.example.com", "namespaceSelector": {"matchLabels": MESH_LABEL}}
    with run_mesh(tmp_path) as (url, ca):
        guarded.create(build_configuration(request.param, hook, url, ca))
        try:
            plain = make_namespace(labels=MESH_LABEL)

            def is_meshed() -> bool:
                return "initContainers" in guarded.create(build_pod(), plain, dry_run=True).object["spec"]

            wait_for("the API server calls the mesh", is_meshed)
            yield make_namespace(webhook["changes"], ENABLED | MESH_LABEL | webhook["label"], ALLOW_LIST)
        finally:
            guarded.delete("MutatingWebhookConfiguration", request.param)


def test_pod_with_containers_of_another_webhook_passes(guarded: ApiServer, meshed: str) -> None:
    stored = store(guarded, build_pod(), meshed)

    assert names_of(stored, "initContainers") == [*OURS, "mesh-init"]
    assert names_of(stored, "containers") == ["app", "mesh-proxy"]
