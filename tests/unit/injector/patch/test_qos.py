from typing import Any

import pytest

from testing.cases import build_case, find_container

Resources = dict[str, Any]


def build(requests: Resources, limits: Resources) -> Resources:
    return {"requests": requests, "limits": limits}


def sidecar_is_guaranteed(*containers: Resources, **spec: Any) -> bool:
    named = [{"name": f"app-{number}", "resources": one} for number, one in enumerate(containers)]
    resources = find_container(build_case(containers=named, **spec).inject(), "podrole-sidecar")["resources"]
    return bool(resources["requests"] == resources["limits"])


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param(build({"cpu": "1000m", "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}), id="smaller-units"),
        pytest.param(build({"cpu": 2, "memory": "1073741824"}, {"cpu": "2", "memory": "1Gi"}), id="numbers-and-bytes"),
        pytest.param(build({"cpu": 0.5, "memory": 1073741824}, {"cpu": "500m", "memory": "1Gi"}), id="fraction"),
        pytest.param(build({"cpu": "1e0", "memory": "1e9"}, {"cpu": "1", "memory": "1G"}), id="exponents"),
        pytest.param(
            build({"cpu": "1.0", "memory": "0.5Gi"}, {"cpu": "+1", "memory": "512Mi"}), id="decimals-and-sign"
        ),
        pytest.param(build({"cpu": "250m", "memory": "1Gi"}, {"cpu": "250m", "memory": "1Gi"}), id="equal-texts"),
        pytest.param(build({"cpu": "0.5", "memory": "1M"}, {"cpu": "0.5", "memory": "1M"}), id="equal-other-texts"),
        pytest.param(build({"memory": "1024Ki"}, {"cpu": "1", "memory": "1Mi"}), id="request-that-becomes-the-limit"),
    ],
)
def test_pod_whose_requests_have_the_value_of_its_limits_stays_guaranteed(resources: Resources) -> None:
    assert sidecar_is_guaranteed(resources)


LIMITS = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param(build({"cpu": "1", "memory": "1G"}, LIMITS), id="another-unit"),
        pytest.param(build({"cpu": "999m"}, LIMITS), id="smaller-request"),
        pytest.param(build({"cpu": "0", "memory": "0"}, LIMITS), id="request-of-zero"),
        pytest.param(build({"cpu": "0", "memory": "1Gi"}, {"cpu": "0", "memory": "1Gi"}), id="limit-of-zero"),
        pytest.param(build({"cpu": None}, LIMITS), id="request-of-null"),
        pytest.param(build({}, {"cpu": "1"}), id="no-memory"),
        pytest.param(build({"cpu": "x", "memory": "x"}, {"cpu": "x", "memory": "x"}), id="no-quantities"),
        pytest.param({}, id="none"),
    ],
)
def test_pod_with_other_requests_is_not_guaranteed(resources: Resources) -> None:
    assert not sidecar_is_guaranteed({"limits": LIMITS}, resources)
