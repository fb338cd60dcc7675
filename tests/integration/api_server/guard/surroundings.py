"""Creates what a pod of tests/pods needs around it."""

from collections.abc import Callable, Mapping
from typing import Any

from testing.cases import Case, Pod
from testing.cluster.api import ApiServer
from tests.integration.api_server.accounts import move_into
from tests.integration.api_server.test_pod_security import RESTRICTED_CONTAINER

MakeNamespace = Callable[..., str]


def make_surroundings(
    api: ApiServer,
    make_namespace: MakeNamespace,
    case: Case,
    changes: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
) -> Pod:
    """Create the namespace and ServiceAccount of a case; return its pod in that namespace."""
    assert case.namespace is not None
    all_labels = {**case.namespace.labels, **(labels or {})}
    pod = move_into(make_namespace(changes, all_labels, case.namespace.annotations), api, case)
    if "restricted" in all_labels.values():  # PodSecurity rejects it otherwise
        pod["spec"]["containers"][0]["securityContext"] = RESTRICTED_CONTAINER["securityContext"]
    return pod
