"""docs/migration.md: what it says about keys, settings, roles, allow-lists, pods and paths is what the code does."""

import re

import pytest

from contract.settings import list_settings
from injector import metadata_keys
from injector.config import Config
from injector.decision.allowed_roles import check_role_allowed
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Inject
from injector.decision.roles import parse_role
from injector.decision.unknown_annotations import find_unknown_keys
from injector.k8s.objects import Metadata, Object
from injector.metadata_keys import EXTERNAL_ID, IRSA_ROLE, POD_SECURITY_LABEL, ROLE, SESSION_NAME
from injector.reasons import InvalidRoleError
from podrole.diagnosis.agents.flags import AgentFlag, list_flags
from sidecar.config import Config as SidecarConfig
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import State
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.state import EndpointState
from testing.cases import CONFIG, ENABLED, ENVIRON, UNANNOTATED
from testing.handlers import call
from testing.repository import ROOT
from tests.unit.docs.pages import read_section, read_tables

PAGE = ROOT / "docs/migration.md"
TEXT = PAGE.read_text()
KEY = re.compile(r"`((?:podrole\.io|iam\.amazonaws\.com|eks\.amazonaws\.com|azure\.workload\.identity)/[\w.-]+)")
CODE = re.compile(r"`([^`]+)`")
ALL_READ = {
    *metadata_keys.POD_LIMITS,
    *metadata_keys.SERVICE_ACCOUNT_LIMITS,
    *metadata_keys.NAMESPACE_LIMITS,
    *metadata_keys.NAMESPACE_LABELS,
    metadata_keys.INJECT_LABEL,
}
READ_ON = {
    "pod": metadata_keys.POD_LIMITS,
    "ServiceAccount": metadata_keys.SERVICE_ACCOUNT_LIMITS,
    "namespace": metadata_keys.NAMESPACE_LIMITS,
}
ANNOTATIONS = read_tables(read_section(PAGE, "Annotations and labels"))[1:]
SETTINGS = {row[0]: row[1] for row in read_tables(read_section(PAGE, "Settings"))[1:]}
ROLES = read_tables(read_section(PAGE, "Roles"))[1:]
ALLOW_LISTS = read_tables(read_section(PAGE, "Allow-lists"))[1:]
PODS = read_tables(read_section(PAGE, "Pods"))[1:]
PATHS = read_tables(TEXT.partition("\n### Paths\n")[2].partition("\n## ")[0])[1:]
BASE = "arn:aws:iam::111122223333:role/"
REGEXPS = Config.from_environ({**ENVIRON, "PODROLE_ALLOWED_ROLES_FORMAT": "regexp"})

UNSUPPORTED = {key for row in ANNOTATIONS if row[3] == "unsupported" for key in CODE.findall(row[0])}

NOTHING = Metadata({}, {})
HOST: Object = {"hostNetwork": True}
WINDOWS: Object = {"os": {"name": "windows"}}
FARGATE: Object = {"schedulerName": "fargate-scheduler"}
IRSA_VARIABLES = [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/token"}]
IRSA = Metadata({}, {IRSA_ROLE: f"{BASE}reader"})
LISTED = Metadata(ENABLED.labels, {metadata_keys.ALLOWED_ROLES: '["writer"]'})
BASELINE = Metadata({**ENABLED.labels, POD_SECURITY_LABEL: "baseline"}, {})
CASES: dict[str, tuple[dict[str, str], Object, Metadata, Metadata]] = {
    "without a role": ({}, {}, UNANNOTATED, ENABLED),
    "hostNetwork, role on the pod": ({ROLE: "reader"}, HOST, UNANNOTATED, ENABLED),
    "hostNetwork, role on the ServiceAccount": ({}, HOST, IRSA, ENABLED),
    "Windows, role on the ServiceAccount": ({}, WINDOWS, IRSA, ENABLED),
    "a role that is not allowed": ({ROLE: "reader"}, {}, UNANNOTATED, LISTED),
    "external id without `podrole.io/intermediate-role`": ({ROLE: "reader", EXTERNAL_ID: "42"}, {}, NOTHING, ENABLED),
    "a session name with `#`": ({ROLE: "reader", SESSION_NAME: "a#b"}, {}, UNANNOTATED, ENABLED),
    "in a namespace with PodSecurity `baseline` or `restricted`": ({ROLE: "reader"}, {}, UNANNOTATED, BASELINE),
    "on Fargate (`schedulerName: fargate-scheduler`)": ({ROLE: "reader"}, FARGATE, UNANNOTATED, ENABLED),
    "with IRSA's variables": ({}, {"containers": [{"name": "app", "env": IRSA_VARIABLES}]}, IRSA, ENABLED),
}
"""Annotations and spec of a pod, its ServiceAccount and its namespace, for each row of the page's table of pods."""


def test_every_key_of_the_page_is_read_or_unsupported() -> None:
    assert set(KEY.findall(TEXT)) <= ALL_READ | UNSUPPORTED


@pytest.mark.parametrize("row", ANNOTATIONS, ids=[row[0] for row in ANNOTATIONS])
def test_key_is_read_exactly_if_the_table_says_so(row: list[str]) -> None:
    keys = CODE.findall(row[0])
    read = [key for key in keys for kind in row[2].split(", ") if key in READ_ON[kind]]

    assert row[3] in {"same", "unsupported"}
    assert read == (keys if row[3] == "same" else [])
    assert row[4] or row[3] == "same", "an unsupported key has no reason"


@pytest.mark.parametrize("row", ANNOTATIONS, ids=[row[0] for row in ANNOTATIONS])
def test_unsupported_key_causes_a_warning_exactly_if_the_table_says_so(row: list[str]) -> None:
    keys = CODE.findall(row[0]) if row[3] == "unsupported" else []
    warned = [
        key
        for key in keys
        for kind in row[2].split(", ")
        if [*find_unknown_keys(Metadata({}, {key.replace("KEY", "team"): "x"}), kind)]
    ]

    assert warned == (keys if "warning" in row[4] else [])


def test_every_key_of_other_systems_that_is_read_is_in_the_table() -> None:
    theirs = {key for key in ALL_READ if key.startswith(("iam.amazonaws.com/", "eks.amazonaws.com/"))}

    assert theirs == {key for row in ANNOTATIONS if row[3] == "same" for key in CODE.findall(row[0])}


def test_every_setting_of_the_page_exists() -> None:
    settings = {one.variable for one in list_settings(Config).values()}

    assert set(re.findall(r"PODROLE_[A-Z_]+", TEXT)) <= settings


@pytest.mark.parametrize("member", AgentFlag, ids=str)
def test_setting_of_an_agent_has_the_counterpart_of_the_code(member: AgentFlag) -> None:
    [theirs] = [cell for cell, counterpart in SETTINGS.items() if counterpart == member.counterpart]

    assert sorted(re.findall(r"`--([a-z-]+)`", theirs)) == sorted(list_flags(member))


def test_every_setting_of_the_agents_that_the_page_names_is_read() -> None:
    theirs = [theirs for theirs in SETTINGS if not theirs.startswith("IRSA's")]

    assert len(theirs) == len(AgentFlag)


@pytest.mark.parametrize("row", ROLES, ids=[row[0] for row in ROLES])
def test_role_is_what_the_table_says(row: list[str]) -> None:
    [value] = CODE.findall(row[0])

    if row[1].startswith("denied"):
        with pytest.raises(InvalidRoleError):
            parse_role(value, "role", CONFIG)
    else:
        assert CODE.findall(row[1]) == [parse_role(value, "role", CONFIG)]


def test_empty_annotation_counts_as_none() -> None:
    pod = {"metadata": {"name": "web", "namespace": "a", "annotations": {ROLE: ""}}, "spec": {"containers": [{}]}}

    decision = decide(pod, ClusterContext(ENABLED, IRSA), CONFIG)

    assert "An empty value counts as no annotation" in TEXT
    assert isinstance(decision, Inject)
    assert decision.role_arn == f"{BASE}reader"


@pytest.mark.parametrize("row", ALLOW_LISTS, ids=[f"{row[1]} {row[2]}" for row in ALLOW_LISTS])
def test_allow_list_decides_as_the_table_says(row: list[str]) -> None:
    [key, *formats] = CODE.findall(row[0])
    [pattern], [role] = CODE.findall(row[1]), CODE.findall(row[2])
    with_regexps = key == "regexp"
    namespace = {metadata_keys.ALLOWED_ROLES if with_regexps else key: pattern}
    config = REGEXPS if with_regexps else CONFIG

    problems = list(check_role_allowed(parse_role(role, "role", config), namespace, config))

    assert formats == []
    assert row[4].split(":")[0] == ("denied" if problems else "allowed")


def test_patterns_that_the_page_advises_allow_the_role() -> None:
    globs = {metadata_keys.ALLOWED_ROLES: '["team-**"]'}
    regexps = {metadata_keys.ALLOWED_ROLES: '["read.*"]'}

    assert "write `team-**`" in TEXT
    assert "write `read.*`" in TEXT
    assert list(check_role_allowed(f"{BASE}team-x/reader", globs, CONFIG)) == []
    assert list(check_role_allowed(f"{BASE}reader", regexps, REGEXPS)) == []
    assert [*check_role_allowed(f"{BASE}reader", {metadata_keys.ALLOWED_ROLES: "[]"}, CONFIG)]


def test_the_table_of_pods_has_a_case_for_each_row() -> None:
    assert [row[0] for row in PODS] == list(CASES)


@pytest.mark.parametrize("row", PODS, ids=[row[0] for row in PODS])
def test_pod_has_the_outcome_of_the_table(row: list[str]) -> None:
    annotations, spec, account, namespace = CASES[row[0]]
    pod = {
        "metadata": {"name": "web", "namespace": "a", "annotations": annotations},
        "spec": {"containers": [{"name": "app"}], **spec},
    }

    decision = decide(pod, ClusterContext(namespace, account), CONFIG)

    assert row[3].partition(":")[0] == type(decision).__name__
    if isinstance(decision, Inject):
        assert decision.mode == ("env" if "in env mode" in row[3] else "redirect")


@pytest.mark.parametrize("row", PATHS, ids=[row[0] for row in PATHS])
def test_path_has_the_status_of_the_table(row: list[str]) -> None:
    method, path = CODE.findall(row[0])[0].split()
    role = f"{BASE}team/reader"
    config = SidecarConfig(role_arn=role, region="eu-west-1", session_name="web", run_directory="/run", pod_uid="<uid>")
    valid = State(refresh_at=2, credentials=Credentials(role, "ASIAEXAMPLE", "secret", "token", 1, 3601))
    handler = create_handler(EndpointState(config, lambda: valid, b"k" * 32, "boot", clock=lambda: 1))
    headers = {"Host": "169.254.169.254", "X-aws-ec2-metadata-token-ttl-seconds": "60"}

    response = call(handler, path, method=method, headers=headers)

    status, _, text = row[2].partition(":")
    assert response.status == int(status)
    for body in CODE.findall(text):
        assert response.body == body.encode()
