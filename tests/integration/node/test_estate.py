"""A whole estate on a real cluster: migrated by the lines of docs/migration.md, broken, mended, and led back."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from testing.cluster.api import wait_for
from testing.cluster.manifests import Manifest
from testing.estate import NAMESPACES
from testing.estate.failures import API_SERVER, Failure, load_failures
from testing.repository import ROOT
from tests.integration.estate.causes import is_mistake, names_cause
from tests.integration.estate.installation import apply_estate
from tests.integration.estate.test_migration import list_to_do
from tests.integration.node.cluster import Node
from tests.integration.node.estate import NodeEstate, run_estate
from tests.integration.node.store import Store

FAILURES = [each for each in load_failures() if each.tested_on != API_SERVER]
SHOP = Failure("migration", "shop/deployment/web", "", "", "", role="shop-reader")
READY_WITHIN_SECONDS = 420


def read_steps() -> list[list[str]]:
    """The commands of each numbered step of docs/migration.md, and of the way back."""
    section = (ROOT / "docs/migration.md").read_text().partition("\n## The steps\n")[2].partition("\n## ")[0]
    steps = re.split(r"\n(?=\d\. \*\*|\*\*Back\*\*)", section)[1:]
    return [[line.strip() for line in step.splitlines() if re.match(r" {4,}\S", line)] for step in steps]


TRUST, TRY, NAMESPACE, VERIFY, BACK = 0, 2, 3, 4, 6
"""Positions of the steps with commands."""


def list_step(number: int) -> list[str]:
    """The commands of a step for the namespace shop."""
    return [SHOP.put_in_names(line) for line in read_steps()[number]]


@pytest.fixture(scope="module")
def estate(
    installed: Node, store: Store, overlay: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeEstate]:
    """The estate, moved to podrole by the documented steps."""
    folder = tmp_path_factory.mktemp("estate")
    with run_estate(installed, store, folder, overlay) as estate:
        try:
            apply_estate(installed.kubectl)
            wait_for("the pods before", lambda: count_ready(installed) > len(NAMESPACES), READY_WITHIN_SECONDS)
            estate.create_roles()
            estate.execute(list_step(TRUST), codes=(0, 1))
            estate.execute(list_step(TRY), codes=(0, 1))
            to_do = list_to_do(estate.run("podrole plan -A").stdout)
            estate.execute(list_step(NAMESPACE))
            estate.execute([line for line in to_do if " shop " not in line])
            yield estate
        finally:
            installed.kubectl.run("delete", "namespaces", *NAMESPACES, "--wait=false", "--ignore-not-found")
            # The end of the cluster would have to wait for the end of all their containers.
            wait_for("the end of the pods", lambda: not count_pods(installed), READY_WITHIN_SECONDS)


def list_pods(node: Node, namespace: str = "") -> list[Manifest]:
    """The pods of a namespace, or of all of them."""
    where = f"--namespace={namespace}" if namespace else "--all-namespaces"
    items: list[Manifest] = json.loads(node.kubectl.run("get", "pods", where, "--output=json").output)["items"]
    return items


def is_ready(pod: Manifest) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def count_ready(node: Node) -> int:
    return sum(is_ready(pod) for pod in list_pods(node) if pod["metadata"]["namespace"] in NAMESPACES)


def count_pods(node: Node) -> int:
    return sum(pod["metadata"]["namespace"] in NAMESPACES for pod in list_pods(node))


def are_migrated(node: Node, namespace: str) -> bool:
    """Whether all pods of a namespace are injected and ready, or have ended."""
    pods = [pod for pod in list_pods(node, namespace) if pod["status"]["phase"] != "Succeeded"]
    return bool(pods) and all(is_ready(pod) and "podrole.io/mode" in pod["metadata"]["labels"] for pod in pods)


@pytest.mark.parametrize("namespace", ["orders", "shop", "platform"])
def test_pods_of_a_migrated_namespace_are_injected_and_ready(estate: NodeEstate, namespace: str) -> None:
    wait_for(
        f"the pods of {namespace}", lambda: are_migrated(estate.node, namespace), within_seconds=READY_WITHIN_SECONDS
    )


def test_documented_verification_shows_the_role(estate: NodeEstate) -> None:
    wait_for("shop", lambda: are_migrated(estate.node, "shop"), within_seconds=READY_WITHIN_SECONDS)

    output = estate.execute(list_step(VERIFY))

    assert "The sidecar serves credentials of arn:aws:iam::111122223333:role/shop-reader" in output
    assert "assumed-role/shop-reader/" in output


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_failure_is_named_by_one_command_and_mended_by_the_documented_lines(
    estate: NodeEstate, failure: Failure
) -> None:
    if not is_mistake(failure):
        wait_for("the state before", lambda: not names_cause(estate.run, failure), READY_WITHIN_SECONDS)

    estate.execute(failure.list_lines(failure.breaks))
    with suppress(AssertionError):
        wait_for("the cause", lambda: names_cause(estate.run, failure), 120)
    result = estate.run(failure.list_lines(failure.command)[-1])
    is_named = names_cause(estate.run, failure)
    estate.execute(failure.list_lines(failure.mends))
    wait_for("the mended state", lambda: not names_cause(estate.run, failure), 180)

    print(result.output)
    assert is_named
    assert not failure.is_down or result.exit_code == 1


def test_documented_way_back_leaves_no_injected_pod(estate: NodeEstate) -> None:
    estate.execute(list_step(BACK))

    def is_back() -> bool:
        pods = [pod for pod in list_pods(estate.node, "shop") if "cart" in pod["metadata"]["name"]]
        return bool(pods) and all(is_ready(pod) and "initContainers" not in pod["spec"] for pod in pods)

    wait_for("the pods without podrole", is_back, within_seconds=READY_WITHIN_SECONDS)
