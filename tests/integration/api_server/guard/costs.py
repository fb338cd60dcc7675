"""Prints how long the creation of a pod takes with and without the guard. pytest collects it only by its path.

Run it with `pytest -q --capture=no tests/integration/api_server/guard/costs.py`.
"""

import statistics
import time
from typing import Any

from testing.cluster.api import ApiServer
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import build_pod
from tests.integration.api_server.guard.surroundings import MakeNamespace

COUNT = 200
MILLISECONDS = 1000


def test_print_the_time_of_a_creation(
    guarded: ApiServer, make_namespace: MakeNamespace, webhook: dict[str, Any]
) -> None:
    labels = ENABLED | webhook["label"]
    allowed = {"iam.amazonaws.com/allowed-roles": '["*"]'}
    with Namespaces(guarded, {}, has_controllers=False) as others:
        places = {
            "webhook": others.make(labels, allowed),  # no binding has its settings
            "webhook and guard": make_namespace(webhook["changes"], labels, allowed),
            "neither": others.make({}),
        }
        times: dict[str, list[float]] = {name: [] for name in places}
        for number in range(COUNT):
            for name, namespace in places.items():
                pod = build_pod(name=f"app-{number}")
                began = time.perf_counter()
                guarded.create(pod, namespace)
                times[name].append((time.perf_counter() - began) * MILLISECONDS)
    version = guarded.version()
    for name, values in times.items():
        p99 = statistics.quantiles(values, n=100)[-1]
        print(f"{version} {webhook['label']}: {name}: median {statistics.median(values):.2f} ms, p99 {p99:.1f} ms")
