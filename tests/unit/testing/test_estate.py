"""The estate of testing/estate: its size, and that each of its mistakes is marked and can be found."""

import json
import re
from collections import Counter

import pytest
import yaml
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.estate import AGENTS, FILES, NAMESPACES, WRONG, build_estate

LEAST_WORKLOADS = 50
MARK = re.compile(r"# wrong: (\S+)\n *([A-Z]\w+/\S+|labels):")
KINDS = {
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
}
ONLY_IN_A_CLUSTER = {"quota-full"}
"""`inject` cannot see these in manifests."""

HOLDERS = {"label-true": "Deployment/collector"}
"""Mistakes of a namespace, and the workload that shows them."""


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The output of `podrole inject` for the whole estate."""
    file = tmp_path_factory.mktemp("estate") / "estate.yaml"
    file.write_text(yaml.safe_dump_all(build_estate()))
    return CliRunner().invoke(main, ["inject", "-f", str(file), "-o", "json"], env=ENVIRON)


def test_estate_has_fourteen_namespaces_and_fifty_workloads_of_all_kinds() -> None:
    workloads = [each for each in build_estate() if each["kind"] in KINDS and each["metadata"]["namespace"] != AGENTS]

    assert len(NAMESPACES) == 14
    assert len(workloads) >= LEAST_WORKLOADS
    assert {each["kind"] for each in workloads} == KINDS
    assert {each["metadata"]["namespace"] for each in workloads} == set(NAMESPACES)


def test_names_of_workloads_are_unique_within_their_namespace() -> None:
    keys = Counter(
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in build_estate()
    )

    assert not [key for key, count in keys.items() if count > 1]


def test_every_mistake_is_marked_above_the_object_that_has_it() -> None:
    marked = {(file.stem, *found) for file in FILES for found in MARK.findall(file.read_text())}

    expected = {
        (wrong.namespace, name, wrong.name) for name, wrong in WRONG.items() if not wrong.name.startswith("Namespace/")
    }
    marks = {name for file in FILES for name in re.findall(r"# wrong: (\S+)", file.read_text())}
    assert expected <= marked
    assert marks == WRONG.keys()
    assert len(WRONG) >= 10


@pytest.mark.parametrize("name", sorted(WRONG.keys() - ONLY_IN_A_CLUSTER))
def test_inject_names_the_mistake(injected: Result, name: str) -> None:
    wrong = WRONG[name]
    kind, _, workload = HOLDERS.get(name, wrong.name).partition("/")
    records = json.loads(injected.stdout)

    [record] = [each for each in records if (each["kind"], each["name"]) == (kind, workload)]

    assert wrong.words in json.dumps(record, ensure_ascii=False).replace('\\"', '"')


def test_workloads_that_are_right_are_neither_denied_nor_have_a_warning(injected: Result) -> None:
    mistaken = {(wrong.namespace, wrong.name) for wrong in WRONG.values()}
    right = [
        each
        for each in json.loads(injected.stdout)
        if (each["namespace"], f"{each['kind']}/{each['name']}") not in mistaken and each["mode"] != "env"
    ]

    assert len(right) > LEAST_WORKLOADS - len(WRONG)
    assert not [each for each in right if each["outcome"] == "Deny" or each["warnings"]]
