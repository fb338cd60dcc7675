from typing import Any

import pytest

from injector.decision.unsupported import find_unsupported
from injector.reasons import Reason

ON_WINDOWS = {"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}
ZONE = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-west-1a"]}
NAME = {"key": "metadata.name", "operator": "In", "values": ["windows"]}


def require(*terms: dict[str, Any]) -> dict[str, Any]:
    """The spec of a pod that runs only on nodes of one of the terms."""
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def prefer(term: dict[str, Any]) -> dict[str, Any]:
    preferred = [{"weight": 1, "preference": term}]
    return {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"os": {"name": "windows"}}, id="os"),
        pytest.param({"nodeSelector": {"kubernetes.io/os": "windows"}}, id="node-selector"),
        pytest.param({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}, id="node-selector-with-old-label"),
        pytest.param(require({"matchExpressions": [ON_WINDOWS]}), id="affinity"),
        pytest.param(
            require({"matchExpressions": [ON_WINDOWS | {"key": "beta.kubernetes.io/os"}]}), id="affinity-with-old-label"
        ),
        pytest.param(require({"matchExpressions": [ZONE, ON_WINDOWS]}), id="affinity-and-zone"),
        pytest.param(
            require({"matchExpressions": [ON_WINDOWS]}, {"matchExpressions": [ON_WINDOWS], "matchFields": [NAME]}),
            id="every-term",
        ),
    ],
)
def test_pod_that_can_run_only_on_windows_is_recognised(spec: dict[str, Any]) -> None:
    assert find_unsupported({"spec": spec}) is Reason.WINDOWS


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"affinity": None}, id="null"),
        pytest.param({"affinity": {"nodeAffinity": {}}}, id="no-requirement"),
        pytest.param(require(), id="no-term"),
        pytest.param(prefer({"matchExpressions": [ON_WINDOWS]}), id="preferred"),
        pytest.param(require({"matchExpressions": [ON_WINDOWS]}, {"matchExpressions": [ZONE]}), id="one-of-two-terms"),
        pytest.param(require({"matchExpressions": [ON_WINDOWS]}, {}), id="empty-term"),
        pytest.param(require({"matchExpressions": [ON_WINDOWS | {"operator": "NotIn"}]}), id="not-windows"),
        pytest.param(require({"matchExpressions": [ON_WINDOWS | {"values": ["windows", "linux"]}]}), id="both"),
        pytest.param(require({"matchExpressions": [ON_WINDOWS | {"key": "example.com/os"}]}), id="another-label"),
        pytest.param(require({"matchFields": [NAME]}), id="name-of-the-node"),
        pytest.param({"nodeSelector": {"kubernetes.io/os": "linux"}}, id="linux"),
    ],
)
def test_pod_that_can_run_on_linux_is_supported(spec: dict[str, Any]) -> None:
    assert find_unsupported({"spec": spec}) is None
