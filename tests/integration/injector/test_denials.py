"""What metrics and decision log of a running injector tell about pods and roles, read as docs/operations.md shows."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from injector.webhook.decision_log import FIELDS
from injector.webhook.denials import OTHER
from testing.cases import build_review, load_case
from testing.fake_api_server import build_environ, writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES
from testing.ports import find_free_ports
from testing.repository import ROOT
from tests.integration.injector.injector_process import Injector, ask, run_injector
from tests.unit.docs.pages import read_block, read_section
from tests.unit.injector.k8s.watched_cluster import wait_until

ALLOWED, REFUSED = (f"arn:aws:iam::111122223333:role/{name}" for name in ("reader", "admin"))
UNKNOWN_NAMESPACES = 40
SECTION = read_section(ROOT / "docs" / "operations.md", "The decision log")
OF_LOG, OF_PODS = re.findall(r"jq ((?:--raw-\w+ )+)'([^']+)'", SECTION)
"""Options and program of both lines that call jq."""


class Told(NamedTuple):
    """What an injector told."""

    metrics: str
    log: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """After reviews of pods with an allowed and a refused role, and of namespaces that do not exist."""
    directory = tmp_path_factory.mktemp("injector")
    with writable_api_server() as api:
        labels, allowed = {"podrole.io/injection": "enabled"}, {"iam.amazonaws.com/allowed-roles": '["reader"]'}
        api.put(NAMESPACES, "team-a", labels=labels, annotations=allowed)
        api.put(ACCOUNTS, "good", "team-a", annotations={"iam.amazonaws.com/role": ALLOWED})
        api.put(ACCOUNTS, "bad", "team-a", annotations={"iam.amazonaws.com/role": REFUSED})
        with run_injector(directory, build_environ(directory, api.port, find_free_ports(2))) as injector:
            yield Told(*_ask(injector))
        api.stop()


def _ask(injector: Injector) -> tuple[str, str]:
    wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
    bodies = [build_review("team-a", account) for account in ("good", "bad", "bad")]
    bodies += [build_review(f"no-such-namespace-{number}") for number in range(UNKNOWN_NAMESPACES)]
    for body in bodies:
        ask(injector, body)
    wait_until("all are logged", lambda: injector.log.count('"podrole.admission"') == len(bodies))
    return injector.get("/metrics")[1], injector.log


def run_jq(query: tuple[str, str], text: str) -> list[str]:
    options, program = query
    argv = ["jq", *options.split(), program]
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def test_denials_are_counted_by_namespaces_that_exist(told: Told) -> None:
    line = re.compile(r'^podrole_admission_denials_total\{pod_namespace="(.*)",reason="(.*)"\} (\S+)$', re.MULTILINE)

    assert sorted(line.findall(told.metrics)) == [
        (OTHER, "NamespaceNotFound", f"{UNKNOWN_NAMESPACES}.0"),
        ("team-a", "RoleNotAllowed", "2.0"),
    ]


@pytest.mark.parametrize(
    ("role", "found"),
    [
        pytest.param(ALLOWED, ["Inject team-a good"], id="pods-that-got-it"),
        pytest.param(REFUSED, ["Deny team-a bad", "Deny team-a bad"], id="pods-that-asked-for-it-in-vain"),
    ],
)
def test_documented_query_of_the_log_finds_pods_by_role(told: Told, role: str, found: list[str]) -> None:
    options, program = OF_LOG

    lines = run_jq((options, program.replace(ALLOWED, role)), f"{told.log}not JSON\n")

    columns = [line.split("\t") for line in lines]
    assert [f"{outcome} {namespace} {account}" for _, outcome, namespace, _, _, account in columns] == found


def test_documented_query_of_pods_finds_them_by_role() -> None:
    injected = load_case("role-on-the-pod").inject()
    other = load_case("no-role").inject()
    forged = {"metadata": {"annotations": {"podrole.io/status": "no JSON"}}}

    lines = run_jq(OF_PODS, json.dumps({"items": [forged, {"metadata": {}}, other, injected]}))

    assert lines == ["team-a/app"]


def test_documented_query_of_loki_names_fields_of_the_log() -> None:
    query = read_block(SECTION, "logql")
    named = {*re.findall(r"\b(\w+)=\"arn:", query), *re.findall(r"\{\{\.(\w+?)(?:_extracted)?\}\}", query)}

    assert {"role", "outcome", "pod", "owner"} <= named <= set(FIELDS)


def test_every_field_of_the_log_is_documented() -> None:
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", SECTION, re.MULTILINE)))

    assert sorted(documented) == sorted(FIELDS)
