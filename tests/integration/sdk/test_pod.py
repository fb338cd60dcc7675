"""Unmodified clients in an injected pod use their built-in addresses, through the real rules."""

import re
import subprocess
from collections.abc import Iterator

import pytest

import contract
from testing.demo_node import DemoNode
from testing.pods import Pod, has_ipv6
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

ECS_VARIABLE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
IMDS = ("env", "-u", ECS_VARIABLE)
"""As an SDK does that is older than the variable."""

WAYS = [
    pytest.param(("env",), id="ecs"),
    pytest.param(IMDS, id="imds"),
    pytest.param(
        (*IMDS, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6"),
        id="imds-ipv6",
        marks=pytest.mark.skipif(
            not has_ipv6(), reason="the kernel was booted without IPv6: remove ipv6.disable=1 from its command line"
        ),
    ),
]
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def pod(demo_node: DemoNode) -> Iterator[Pod]:
    """A pod injected by the running webhook, on a node whose metadata service serves another role."""
    with demo_node.create_pod(demo_node.webhook.admit(POD).pod) as pod:
        pod.start()
        yield pod


def run(pod: Pod, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the app container."""
    return pod.exec("app", argv, timeout_seconds=60)


@every_way
def test_boto3_has_the_role_of_its_pod(pod: Pod, way: tuple[str, ...]) -> None:
    done = run(pod, *way, *WHO_AM_I)

    assert (done.returncode, done.stdout.strip()) == (0, IDENTITY), done.stderr


@every_way
def test_aws_cli_has_the_role_of_its_pod(pod: Pod, way: tuple[str, ...]) -> None:
    done = run(pod, *way, "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")

    assert (done.returncode, done.stdout.strip()) == (0, IDENTITY), done.stderr


def test_app_has_only_the_ecs_variable(pod: Pod) -> None:
    variables = run(pod, "env").stdout

    assert re.findall(r"^AWS_(?:CONTAINER|EC2|ROLE|WEB).*$", variables, re.MULTILINE) == [
        f"{ECS_VARIABLE}={contract.CREDENTIALS_PATH}/{pod.manifest['metadata']['uid']}"
    ]
