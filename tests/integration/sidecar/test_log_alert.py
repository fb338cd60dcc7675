"""The queries in docs/operations.md find refused credentials in what real sidecars log, and nothing else."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping

import pytest
import yaml

from sidecar.deadlines import PERMANENT_RETRY_SECONDS
from testing.repository import ROOT
from testing.sidecars import Sidecar
from tests.unit.docs.pages import list_anchors, read_block, read_section

PAGE = ROOT / "docs/operations.md"
SECTION = read_section(PAGE, "Refused credentials in the logs")
[GROUP] = yaml.safe_load(read_block(SECTION, "yaml"))["groups"]
[RULE] = GROUP["rules"]
[CLOUDWATCH] = re.findall(r"^\{ \$.*\}$", SECTION, re.MULTILINE)

Line = Mapping[str, object]


def find_by_logql(line: Line) -> bool:
    """Whether the pipeline of the rule keeps a line: Loki makes labels of what `json` names, true becomes `true`."""
    extracted = dict(re.findall(r'(\w+)="(\w+)"', RULE["expr"].partition("| json ")[2].partition(" | ")[0]))
    filters = re.findall(r'\| (\w+)="([\w-]+)"', RULE["expr"])
    assert {label for label, _ in filters} == set(extracted) == {"event", "permanent"}
    values = {label: line.get(field, "") for label, field in extracted.items()}
    return all(text in (values[label], json.dumps(values[label])) for label, text in filters)


def find_by_cloudwatch(line: Line) -> bool:
    """Whether the pattern matches a line: both comparisons are about fields of `log_processed`."""
    [(text_field, text)] = re.findall(r'\$\.log_processed\.(\w+) = "([\w-]+)"', CLOUDWATCH)
    [flag] = re.findall(r"\$\.log_processed\.(\w+) IS TRUE", CLOUDWATCH)
    return line.get(text_field) == text and line.get(flag) is True


def find_by_jq(line: Line) -> bool:
    """Whether jq prints the time, code and message of a line."""
    [(options, program)] = re.findall(r"jq ((?:--raw-\w+ )+)'([^']+)'", SECTION)
    argv = ["jq", *options.split(), program]
    text = f"podrole-sidecar: a line that is no JSON\n{json.dumps(line)}\n"
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=True)
    if done.stdout:
        assert done.stdout.split("\t") == [line["time"], line["code"], f"{line['message']}\n"]
    return bool(done.stdout)


@pytest.fixture(params=[find_by_logql, find_by_cloudwatch, find_by_jq], ids=["loki", "cloudwatch", "jq"])
def find(request: pytest.FixtureRequest) -> Callable[[Line], bool]:
    """One of the page's queries."""
    query: Callable[[Line], bool] = request.param
    return query


def read_lines(sidecar: Sidecar) -> list[Line]:
    return [json.loads(line) for line in sidecar.log.splitlines()]


def test_each_refusal_by_sts_is_found(refused_sidecar: Sidecar, find: Callable[[Line], bool]) -> None:
    refused_sidecar.wait_for_log('"started"', 30)
    lines = read_lines(refused_sidecar)

    found = [line for line in lines if find(line)]

    assert found
    assert {line["event"] for line in found} == {"refresh-failed"}
    assert {line["code"] for line in found} == {"AccessDenied"}
    assert len(found) < len(lines)


def test_failure_that_a_retry_can_mend_is_not_found(empty_sidecar: Sidecar, find: Callable[[Line], bool]) -> None:
    lines = read_lines(empty_sidecar)

    assert "refresh-failed" in {line["event"] for line in lines}
    assert not any(map(find, lines))


def test_sidecar_with_credentials_is_not_found(sidecar: Sidecar, find: Callable[[Line], bool]) -> None:
    lines = read_lines(sidecar)

    assert "refreshed" in {line["event"] for line in lines}
    assert not any(map(find, lines))


def test_alert_of_the_log_looks_back_over_some_attempts() -> None:
    [minutes] = re.findall(r"\[(\d+)m\]", RULE["expr"])

    assert int(minutes) * 60 >= 3 * PERMANENT_RETRY_SECONDS


def test_alert_of_the_log_leads_to_its_section() -> None:
    page, _, anchor = RULE["annotations"]["runbook_url"].partition("#")

    assert ROOT / page == PAGE
    assert anchor in list_anchors(PAGE)
    assert RULE["labels"] == {"severity": "warning"}
