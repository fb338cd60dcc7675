"""Which resources podrole's containers have in a pod with resources as a whole."""

from typing import Any

import pytest

from injector.errors import ObjectError
from injector.patch.pod_resources import fit_resources, sum_requests

OWN = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}}


def build_pod(whole: Any, *containers: dict[str, Any], init: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"spec": {"resources": whole, "containers": [*containers], "initContainers": [*init]}}


def request(memory: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "app", "resources": {"requests": {"memory": memory}}, **fields}


@pytest.mark.parametrize("quantity", ["-1", "a", "9" * 100, {}], ids=["negative", "text", "long", "object"])
def test_container_shares_a_resource_whose_quantity_is_not_valid(quantity: object) -> None:
    of_pod = build_pod({"requests": {"memory": quantity}})
    of_app = build_pod({"requests": {"memory": "1Gi"}}, request(quantity))

    for pod in (of_pod, of_app):
        assert fit_resources(OWN, pod, runs_beside_others=True) == {"requests": {"cpu": "20m"}}


def test_pod_whose_resources_are_no_object_is_an_error() -> None:
    with pytest.raises(ObjectError):
        fit_resources(OWN, build_pod([]), runs_beside_others=True)


@pytest.mark.parametrize(
    ("memory", "is_kept"), [("148Mi", True), ("147Mi", False)], ids=["just-enough", "one-mebibyte-less"]
)
def test_requests_of_the_other_containers_count_only_beside_them(memory: str, is_kept: bool) -> None:  # noqa: FBT001 - a parameter of the table
    pod = build_pod({"requests": {"memory": memory}}, request("100Mi"))

    assert ("memory" in fit_resources(OWN, pod, runs_beside_others=True)["requests"]) is is_kept
    assert fit_resources(OWN, pod, runs_beside_others=False) == OWN


def test_limit_above_the_pods_is_left_out() -> None:
    fitted = fit_resources(OWN, build_pod({"limits": {"memory": "95Mi"}}), runs_beside_others=True)

    assert fitted == {"requests": OWN["requests"]}


@pytest.mark.parametrize(("cpu", "is_kept"), [("100m", True), ("99m", False)], ids=["enough", "less"])
def test_limit_without_a_request_is_kept_where_it_fits_as_a_request(cpu: str, is_kept: bool) -> None:  # noqa: FBT001 - a parameter of the table
    fitted = fit_resources({"limits": {"cpu": "100m"}}, build_pod({"requests": {"cpu": cpu}}), runs_beside_others=True)

    assert fitted == ({"limits": {"cpu": "100m"}} if is_kept else {})


def test_request_above_the_pods_limit_is_left_out() -> None:
    fitted = fit_resources(OWN, build_pod({"limits": {"cpu": "10m"}}), runs_beside_others=True)

    assert fitted == {"requests": {"memory": "48Mi"}, "limits": {"memory": "96Mi"}}


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(
            build_pod({}, request("1"), init=(request("5", name="podrole-sidecar", restartPolicy="Always"),)),
            id="of-an-earlier-injection",
        ),
        pytest.param(build_pod({}, request("1"), request("5", name="podrole-redirect")), id="among-the-app-containers"),
    ],
)
def test_containers_with_reserved_names_do_not_count(pod: dict[str, Any]) -> None:

    assert sum_requests(pod, "memory") == 1


def test_limit_without_a_request_counts_as_one() -> None:
    assert sum_requests(build_pod({}, {"name": "app", "resources": {"limits": {"memory": "5"}}}), "memory") == 5


@pytest.mark.parametrize(
    ("init", "total"),
    [
        pytest.param((request("2"), request("4")), 4, id="init-containers-run-one-after-the-other"),
        pytest.param((request("2", restartPolicy="Always"), request("4")), 6, id="sidecar-runs-beside-those-after-it"),
        pytest.param((request("4"), request("2", restartPolicy="Always")), 4, id="but-not-beside-those-before-it"),
        pytest.param((request("4", restartPolicy="Always"),), 5, id="sidecar-runs-beside-the-app"),
    ],
)
def test_sum_follows_the_order_in_which_containers_run(init: tuple[dict[str, Any], ...], total: int) -> None:
    assert sum_requests(build_pod({}, request("1"), init=init), "memory") == total
