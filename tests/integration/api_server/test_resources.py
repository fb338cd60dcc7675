"""LimitRange, ResourceQuota, and the QoS class of injected pods."""

from typing import Any

import pytest

from testing.cases import find_container
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.pods import APP, OURS, build_pod, names_of, store

SOME = {"cpu": "500m", "memory": "128Mi"}
GUARANTEED = {"requests": SOME, "limits": SOME}
both = pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])


def create_limit_range(api: ApiServer, namespace: str, **limits: Any) -> None:
    spec = {"limits": [{"type": "Container", **limits}]}
    api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": spec}, namespace)


def create_quota(api: ApiServer, namespace: str, **hard: str) -> None:
    """Create a quota and wait for its status: until then it rejects everything."""
    spec = {"hard": {key.replace("_", "."): value for key, value in hard.items()}}
    api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}, "spec": spec}, namespace)
    wait_for("the quota", lambda: api.read("ResourceQuota", "quota", namespace)["status"].get("used"))


@both
def test_guaranteed_pod_stays_guaranteed(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    stored = store(api, build_pod(containers=[{**APP, "resources": GUARANTEED}]), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == OURS
    assert stored["status"]["qosClass"] == "Guaranteed"


@both
def test_pod_guaranteed_by_pod_level_resources_stays_guaranteed(
    api: ApiServer, namespace: str, *, dry_run: bool
) -> None:
    stored = store(api, build_pod(resources=GUARANTEED), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == OURS
    assert stored["spec"]["resources"] == GUARANTEED
    assert stored["status"]["qosClass"] == "Guaranteed"


def test_pod_level_resources_of_a_small_pod_are_kept(api: ApiServer, namespace: str) -> None:
    small = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}

    stored = store(api, build_pod(resources=small), namespace)

    assert stored["spec"]["resources"]["limits"] == small["limits"]
    assert stored["status"]["qosClass"] == "Burstable"


OWN_REDIRECT = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}
OWN_SIDECAR = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}}
CPU_OF_BOTH = {"requests": {"cpu": "20m"}}
ONE_MEMORY = {"requests": {"memory": "32Mi"}, "limits": {"memory": "32Mi"}}
WITHOUT_LIMIT = {"requests": {"cpu": "20m", "memory": "48Mi"}}
ONLY_MEMORY = {"requests": {"memory": "48Mi"}, "limits": {"memory": "96Mi"}}
SIDECAR_IN_FRONT = {
    "initContainers": [
        {**APP, "name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"memory": "60Mi"}}},
        {**APP, "name": "migrate", "resources": {"requests": {"memory": "100Mi"}}},
    ]
}


@pytest.mark.parametrize(
    ("whole", "spec", "expected"),
    [
        pytest.param(GUARANTEED, {}, ("Guaranteed", OWN_REDIRECT, OWN_SIDECAR), id="guaranteed"),
        pytest.param(
            GUARANTEED,
            {"containers": [{**APP, "resources": {"limits": {"cpu": "500m", "memory": "100Mi"}}}]},
            ("Guaranteed", OWN_REDIRECT, {}),
            id="guaranteed-that-the-app-uses",
        ),
        pytest.param(
            {"requests": {"cpu": "0.5", "memory": "0.5Gi"}, "limits": {"memory": "1e9"}},
            {},
            ("Burstable", OWN_REDIRECT, OWN_SIDECAR),
            id="burstable",
        ),
        pytest.param(
            {"requests": {"cpu": "100m"}}, {}, ("Burstable", OWN_REDIRECT, OWN_SIDECAR), id="only-cpu-requests"
        ),
        pytest.param({"limits": {"cpu": "10m"}}, {}, ("Burstable", ONE_MEMORY, ONLY_MEMORY), id="only-little-cpu"),
        pytest.param({"limits": {"memory": "64Mi"}}, {}, ("Burstable", OWN_REDIRECT, WITHOUT_LIMIT), id="low-limit"),
        pytest.param(
            {"requests": {"memory": "16Mi"}, "limits": {"memory": "1Gi"}},
            {},
            ("Burstable", CPU_OF_BOTH, CPU_OF_BOTH),
            id="low-request",
        ),
        pytest.param(
            {"requests": {"memory": "208Mi"}, "limits": {"memory": "1Gi"}},
            SIDECAR_IN_FRONT,
            ("Burstable", OWN_REDIRECT, OWN_SIDECAR),
            id="sidecars-and-init-containers-that-fit",
        ),
        pytest.param(
            {"requests": {"memory": "207Mi"}, "limits": {"memory": "1Gi"}},
            SIDECAR_IN_FRONT,
            ("Burstable", OWN_REDIRECT, CPU_OF_BOTH),
            id="sidecars-and-init-containers-that-nearly-fit",
        ),
    ],
)
def test_podroles_containers_fit_into_pod_level_resources(
    api: ApiServer,
    namespace: str,
    whole: dict[str, Any],
    spec: dict[str, Any],
    expected: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    stored = store(api, build_pod(resources=whole, **spec), namespace)

    assert names_of(stored, "initContainers")[:2] == OURS
    redirect, sidecar = (find_container(stored, name)["resources"] for name in OURS)
    assert (stored["status"]["qosClass"], redirect, sidecar) == expected


def test_pod_whose_pod_level_request_the_api_server_sets_is_accepted(api: ApiServer, namespace: str) -> None:
    """Kubernetes 1.34 sets it to that of the containers before the webhook is called, 1.37 after it."""
    app = {**APP, "resources": {"requests": {"memory": "64Mi"}}}

    stored = store(api, build_pod(resources={"limits": {"memory": "1Gi"}}, containers=[app]), namespace)

    assert find_container(stored, "podrole-sidecar")["resources"] in (CPU_OF_BOTH, OWN_SIDECAR)


@pytest.mark.parametrize(
    "resources", [{}, {"requests": {"cpu": "1"}}, {"limits": {"memory": "1Gi"}}], ids=["none", "requests", "limits"]
)
def test_pod_that_is_not_guaranteed_becomes_burstable(
    api: ApiServer, namespace: str, resources: dict[str, Any]
) -> None:
    stored = store(api, build_pod(containers=[{**APP, "resources": resources}]), namespace)

    assert names_of(stored, "initContainers") == OURS
    assert stored["status"]["qosClass"] == "Burstable"


@both
def test_sidecar_complies_with_limit_range_defaults_and_maximum(
    api: ApiServer, namespace: str, *, dry_run: bool
) -> None:
    default, default_request = {"cpu": "200m", "memory": "64Mi"}, {"cpu": "100m", "memory": "32Mi"}
    create_limit_range(api, namespace, default=default, defaultRequest=default_request, max=SOME)

    stored = store(api, build_pod(), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == OURS
    sidecar = find_container(stored, "podrole-sidecar")["resources"]
    assert sidecar["requests"] == {"cpu": "20m", "memory": "48Mi"}
    # The CPU limit is the namespace's default: the sidecar has none.
    assert sidecar["limits"] == {"cpu": "200m", "memory": "96Mi"}


@both
def test_pod_guaranteed_by_a_limit_range_stays_guaranteed(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    create_limit_range(api, namespace, default=SOME)

    stored = store(api, build_pod(), namespace, dry_run=dry_run)

    assert stored["spec"]["containers"][0]["resources"] == GUARANTEED
    assert names_of(stored, "initContainers") == OURS
    assert stored["status"]["qosClass"] == "Guaranteed"


def test_guaranteed_pod_complies_with_a_limit_range_maximum(api: ApiServer, namespace: str) -> None:
    create_limit_range(api, namespace, max=SOME)

    stored = store(api, build_pod(containers=[{**APP, "resources": GUARANTEED}]), namespace)

    assert stored["status"]["qosClass"] == "Guaranteed"


def test_limit_range_maximum_below_the_sidecars_memory_rejects_the_pod(api: ApiServer, namespace: str) -> None:
    create_limit_range(api, namespace, max={"memory": "64Mi"})

    with pytest.raises(RefusedError, match="maximum memory usage per Container is 64Mi, but limit is 96Mi"):
        api.create(build_pod(), namespace)


@both
def test_injected_pod_complies_with_a_quota_on_requests_and_memory(
    api: ApiServer, namespace: str, *, dry_run: bool
) -> None:
    create_quota(api, namespace, requests_cpu="2", requests_memory="2Gi", limits_memory="2Gi")
    resources = {"requests": SOME, "limits": {"memory": "256Mi"}}

    stored = store(api, build_pod(containers=[{**APP, "resources": resources}]), namespace, dry_run=dry_run)

    assert names_of(stored, "initContainers") == OURS


def test_quota_counts_the_sidecars_requests(api: ApiServer, namespace: str) -> None:
    create_quota(api, namespace, requests_cpu="2", requests_memory="2Gi", limits_memory="2Gi")
    resources = {"requests": SOME, "limits": {"memory": "256Mi"}}

    store(api, build_pod(containers=[{**APP, "resources": resources}]), namespace)

    used = {"requests.cpu": "520m", "requests.memory": "176Mi", "limits.memory": "352Mi"}
    wait_for("the quota's use", lambda: api.read("ResourceQuota", "quota", namespace)["status"]["used"] == used)


def test_quota_on_cpu_limits_rejects_the_sidecar_without_a_limit(api: ApiServer, namespace: str) -> None:
    create_quota(api, namespace, limits_cpu="2")
    app = {**APP, "resources": {"limits": {"cpu": "500m"}}}

    with pytest.raises(RefusedError, match=r"must specify limits\.cpu for: podrole-redirect,podrole-sidecar"):
        api.create(build_pod(containers=[app]), namespace)


def test_quota_on_cpu_limits_accepts_a_limit_range_default(api: ApiServer, namespace: str) -> None:
    create_limit_range(api, namespace, default={"cpu": "200m"})
    create_quota(api, namespace, limits_cpu="2")

    stored = store(api, build_pod(), namespace)

    assert find_container(stored, "podrole-sidecar")["resources"]["limits"]["cpu"] == "200m"
    assert find_container(stored, "podrole-redirect")["resources"]["limits"]["cpu"] == "200m"


def test_quota_on_cpu_limits_accepts_a_guaranteed_pod(api: ApiServer, namespace: str) -> None:
    create_quota(api, namespace, limits_cpu="2", limits_memory="2Gi")

    stored = store(api, build_pod(containers=[{**APP, "resources": GUARANTEED}]), namespace)

    assert names_of(stored, "initContainers") == OURS
