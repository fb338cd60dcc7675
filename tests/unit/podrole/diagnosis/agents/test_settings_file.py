"""The settings.env that preflight writes."""

from typing import Any

import pytest

from injector.config import Config
from podrole.diagnosis.agents.check import list_agents
from podrole.diagnosis.agents.settings_file import format_settings
from testing.hostile_text import HOSTILE
from tests.unit.podrole.diagnosis.agents.workloads import BASE, build_kiam, build_kube2iam
from tests.unit.podrole.diagnosis.states import build_cluster_state

REGION = [{"name": "AWS_REGION", "value": "eu-west-1"}]


def build_node(region: str | None) -> dict[str, Any]:
    labels = {} if region is None else {"topology.kubernetes.io/region": region}
    return {"metadata": {"name": "n", "labels": labels}}


def write(*agents: dict[str, Any], nodes: tuple[str | None, ...] = ("eu-central-1",)) -> str:
    cluster = build_cluster_state(daemon_sets=agents)
    return format_settings(list_agents(cluster), [build_node(region) for region in nodes])


def parse(text: str) -> dict[str, str]:
    """As kustomize reads it: https://pkg.go.dev/sigs.k8s.io/kustomize/api/kv ."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


ACCOUNT = {"PODROLE_ACCOUNT_ID": "111122223333"}


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        pytest.param(
            build_kube2iam(f"--base-role-arn={BASE}"), {"PODROLE_REGION": "eu-central-1", **ACCOUNT}, id="kube2iam"
        ),
        pytest.param(
            build_kube2iam(f"--base-role-arn={BASE[:-1]}"),
            {"PODROLE_REGION": "eu-central-1", **ACCOUNT},
            id="without-the-last-slash",
        ),
        pytest.param(
            build_kube2iam("--base-role-arn", f"{BASE}team"),
            {"PODROLE_REGION": "eu-central-1", "PODROLE_BASE_ROLE_ARN": f"{BASE}team/"},
            id="with-a-path",
        ),
        pytest.param(
            build_kube2iam(f"--base-role-arn={BASE}", env=REGION),
            {"PODROLE_REGION": "eu-west-1", **ACCOUNT},
            id="region-of-a-variable",
        ),
        pytest.param(
            build_kube2iam(env=[{"name": "AWS_DEFAULT_REGION", "value": "us-east-2"}]),
            {"PODROLE_REGION": "us-east-2"},
            id="default-region",
        ),
        pytest.param(
            build_kube2iam("--namespace-restrictions", "--namespace-restriction-format=regexp"),
            {"PODROLE_REGION": "eu-central-1", "PODROLE_ALLOWED_ROLES_FORMAT": "regexp"},
            id="format-of-allow-lists",
        ),
        pytest.param(
            build_kube2iam("--namespace-restriction-format=regexp"),
            {"PODROLE_REGION": "eu-central-1"},
            id="format-without-restrictions",
        ),
        pytest.param(
            build_kiam("server", f"--role-base-arn={BASE}", "--region=eu-west-3"),
            {"PODROLE_REGION": "eu-west-3", **ACCOUNT},
            id="kiam",
        ),
    ],
)
def test_settings_are_carried_over(agent: dict[str, Any], expected: dict[str, str]) -> None:
    assert parse(write(agent)) == expected


def test_each_line_says_where_it_is_from() -> None:
    text = write(build_kube2iam(f"--base-role-arn={BASE}"))

    assert f"# DaemonSet kube-system/kube2iam: --base-role-arn={BASE}\nPODROLE_ACCOUNT_ID=111122223333\n" in text
    assert "# label topology.kubernetes.io/region of the nodes\nPODROLE_REGION=eu-central-1\n" in text


def test_file_is_a_valid_configuration() -> None:
    text = write(build_kube2iam(f"--base-role-arn={BASE}", "--namespace-restrictions"))

    config = Config.from_environ({**parse(text), "PODROLE_SIDECAR_IMAGE": "x:1"})

    assert (config.region, config.account_id) == ("eu-central-1", "111122223333")


def test_what_is_not_carried_over_is_named_with_its_remedy() -> None:
    text = write(build_kube2iam("--default-role=everyday", "--iam-role-key=x/role"))

    _, _, others = text.partition("# Not carried over:\n")
    assert "# - DaemonSet kube-system/kube2iam has --default-role=everyday: pods without a role get this one." in others
    assert "#   > kubectl annotate namespace NAME podrole.io/default-role=everyday\n" in others
    assert "--iam-role-key=x/role" in others
    assert all(line.startswith("#") for line in others.splitlines())


def test_missing_values_are_named_with_how_to_find_them() -> None:
    text = write(build_kube2iam("--auto-discover-base-arn"), nodes=(None,))

    assert parse(text) == {}
    assert "# PODROLE_REGION=\n" in text
    assert "aws sts get-caller-identity --query Account --output text\n# PODROLE_ACCOUNT_ID=\n" in text


@pytest.mark.parametrize(
    ("agents", "nodes", "named"),
    [
        pytest.param(
            [
                build_kube2iam(f"--base-role-arn={BASE}"),
                build_kube2iam("--base-role-arn=arn:aws:iam::444455556666:role/"),
            ],
            ("eu-west-1",),
            ["# PODROLE_ACCOUNT_ID=111122223333", "# PODROLE_ACCOUNT_ID=444455556666"],
            id="accounts",
        ),
        pytest.param(
            [build_kube2iam(f"--base-role-arn={BASE}"), build_kube2iam(f"--base-role-arn={BASE}team/")],
            ("eu-west-1",),
            ["# PODROLE_ACCOUNT_ID=111122223333", f"# PODROLE_BASE_ROLE_ARN={BASE}team/"],
            id="account-and-path",
        ),
        pytest.param(
            [], ("eu-west-1", "us-east-1"), ["# PODROLE_REGION=eu-west-1", "# PODROLE_REGION=us-east-1"], id="regions"
        ),
    ],
)
def test_values_that_differ_are_comments(
    agents: list[dict[str, Any]], nodes: tuple[str, ...], named: list[str]
) -> None:
    text = write(*agents, nodes=nodes)

    assert "# These differ: choose one.\n" in text
    assert {line.partition("=")[0] for line in named}.isdisjoint(parse(text))
    assert all(f"{line}\n" in text for line in named)


@pytest.mark.parametrize(
    ("agent", "problem"),
    [
        pytest.param(build_kube2iam("--base-role-arn=arn:aws:iam::1:role/"), "PODROLE_BASE_ROLE_ARN is", id="account"),
        pytest.param(
            build_kiam("server", f"--role-base-arn={BASE}prod-"), "PODROLE_BASE_ROLE_ARN is", id="prefix-of-names"
        ),
        pytest.param(
            build_kube2iam("--base-role-arn=arn:aws-cn:iam::111122223333:role/a/"), "partition", id="partition"
        ),
        pytest.param(build_kube2iam(env=[{"name": "AWS_REGION", "value": "nowhere"}]), "PODROLE_REGION", id="region"),
        pytest.param(
            build_kube2iam("--namespace-restrictions", "--namespace-restriction-format=x"), "FORMAT is", id="format"
        ),
    ],
)
def test_value_that_podrole_refuses_is_a_comment(agent: dict[str, Any], problem: str) -> None:
    text = write(agent)

    assert f"# Not possible in podrole: PODROLE_{problem.removeprefix('PODROLE_')}" in text or problem in text
    assert not {*parse(text)} & {"PODROLE_BASE_ROLE_ARN", "PODROLE_ALLOWED_ROLES_FORMAT"}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"{BASE}\nPODROLE_STS_ENDPOINT=https://evil.example", id="line-break"),
        pytest.param(f"{BASE}\rPODROLE_MODE=env/", id="carriage-return"),
        pytest.param(f"{BASE}\u2028PODROLE_MODE=env/", id="line-separator"),
        pytest.param(HOSTILE, id="control-characters"),
    ],
)
def test_text_of_the_cluster_adds_no_line(value: str) -> None:
    agents = [
        build_kube2iam(f"--{flag}={value}", env=[{"name": "AWS_REGION", "value": value}])
        for flag in ("base-role-arn", "default-role", "namespace-restriction-format")
    ]

    text = write(*agents, nodes=(value,))

    assert text.isascii()
    assert parse(text) == {}
    assert all(line.isprintable() for line in text.split("\n"))


def test_without_an_agent_the_file_has_the_region_of_the_nodes() -> None:
    text = write()

    assert "there is no kube2iam and no Kiam" in text
    assert parse(text) == {"PODROLE_REGION": "eu-central-1"}
