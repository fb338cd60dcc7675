"""Pods with unusual specs on a real kubelet."""

import base64
import json
import re
import uuid
from collections.abc import Mapping

import pytest

from testing.cluster.api import wait_for
from tests.integration.node.cluster import Node, build_container, build_pod, build_workload, python

LIST = "aws s3 ls s3://anybody && echo listed"
ROLE = """
import json, os, urllib.request
url = "http://169.254.170.2" + os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
print(json.load(urllib.request.urlopen(url, timeout=10))["RoleArn"])
"""
GUARANTEED = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "100m", "memory": "128Mi"}}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def label(node: Node, namespace: str, **labels: str) -> None:
    """Add Pod Security levels to a namespace."""
    node.kubectl.run(
        "label", "namespace", namespace, *(f"pod-security.kubernetes.io/{k}={v}" for k, v in labels.items())
    )


def list_variables(node: Node, namespace: str) -> str:
    """The environment of a new container."""
    return node.run("env", namespace, name=f"env-{uuid.uuid4().hex[:8]}")


def test_guaranteed_pod_stays_guaranteed(installed: Node, team: str) -> None:
    log = installed.run(LIST, team, role="anybody", containers=[build_container(LIST, resources=GUARANTEED)])

    pod = installed.read("pod", "app", team)
    print(log, pod["status"]["qosClass"])
    assert pod["status"]["qosClass"] == "Guaranteed"
    assert log.endswith("listed\n")


def test_pod_complies_with_limit_range_and_quota(installed: Node, team: str) -> None:
    limits = {"default": {"cpu": "1", "memory": "256Mi"}, "defaultRequest": {"cpu": "50m", "memory": "64Mi"}}
    limit_range = {"limits": [{"type": "Container", "max": {"memory": "1Gi"}, **limits}]}
    quota = {"hard": {"requests.cpu": "2", "requests.memory": "2Gi", "limits.cpu": "8", "limits.memory": "4Gi"}}
    for kind, spec in {"LimitRange": limit_range, "ResourceQuota": quota}.items():
        installed.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "all"}, "spec": spec}, team)

    log = installed.run(LIST, team, role="anybody")

    used = installed.read("resourcequota", "all", team)["status"]["used"]
    print(log, used)
    assert log.endswith("listed\n")


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_env_mode_works_if_pod_security_forbids_redirect(installed: Node, team: str, level: str) -> None:
    label(installed, team, enforce=level)
    pod = build_pod(LIST, role="anybody", containers=[build_container(LIST, securityContext=RESTRICTED)])

    warnings = installed.apply(pod, team)
    log = installed.await_end("app", team)

    print(warnings, log)
    assert log.endswith("listed\n")
    assert "169.254.169.254 still gives the node's role" in warnings
    assert [each["name"] for each in installed.read("pod", "app", team)["spec"]["initContainers"]] == [
        "podrole-sidecar"
    ]


@pytest.mark.parametrize(
    "security",
    [
        {"fsGroup": 2000},
        {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000, "runAsNonRoot": True},
        {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        {"runAsUser": 0},
    ],
    ids=",".join,
)
def test_sidecar_works_with_the_pods_security_context(
    installed: Node, team: str, security: Mapping[str, object]
) -> None:
    log = installed.run(LIST, team, role="anybody", securityContext=dict(security))

    print(log)
    assert log.endswith("listed\n")


def test_pod_beside_services_named_like_settings_works(installed: Node, team: str) -> None:
    ports = [{"name": "http", "port": 80}]
    for name in ("podrole", "podrole-metrics", "podrole-sts"):
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}}
        installed.apply(service, team)
    wait_for("variables of the Services", lambda: "PODROLE_PORT" in list_variables(installed, team))

    log = installed.run(LIST, team, role="anybody")

    print(log)
    assert log.endswith("listed\n")


@pytest.mark.parametrize("field", ["runAsUser", "runAsGroup"])
def test_container_with_the_sidecars_id_is_denied(installed: Node, team: str, field: str) -> None:
    message = installed.create_denied(build_pod(LIST, role="anybody", securityContext={field: 16925}), team)

    print(message)
    assert f"{field} is 16925, the sidecar's user and group" in message


def test_app_with_a_read_only_root_works(installed: Node, team: str) -> None:
    container = build_container(LIST, securityContext={"readOnlyRootFilesystem": True})

    log = installed.run(LIST, team, role="anybody", containers=[container])

    print(log)
    assert log.endswith("listed\n")


def test_web_identity_and_api_tokens_are_in_separate_containers(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)
    show = "import base64, json; print(open('/var/run/secrets/kubernetes.io/serviceaccount/token').read())"

    tokens = {
        name: read_audience(installed.execute("app", team, "python3", "-c", show, container=name))
        for name in ("app", "podrole-sidecar")
    }

    print(tokens)
    assert tokens["podrole-sidecar"] == ["sts.amazonaws.com"]
    assert "sts.amazonaws.com" not in tokens["app"]


def read_audience(token: str) -> list[str]:
    """The audiences of a token."""
    body = token.split(".")[1]
    audience: list[str] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["aud"]
    return audience


def test_pods_with_host_ipc_keep_their_own_roles(installed: Node, team: str, team_a: str) -> None:
    mine = build_pod(f"{LIST}; ls /dev/shm; sleep 600", role="anybody", hostIPC=True)
    theirs = build_pod("aws s3 ls s3://team-a && echo listed; sleep 600", role="team-a", account="web", hostIPC=True)
    installed.apply(mine, team)
    installed.apply(theirs, team_a)
    for namespace in (team, team_a):
        installed.await_ready("pod/app", namespace)

    identity = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    mine_is = installed.execute("app", team, "python3", "-c", identity)
    theirs_is = installed.execute("app", team_a, "python3", "-c", identity)
    shared = installed.execute("app", team, "ls", "/dev/shm")

    print(mine_is, theirs_is, shared)
    assert "anybody" in mine_is
    assert "team-a" in theirs_is
    assert "podrole" not in shared


def test_host_network_with_a_role_is_denied(installed: Node, team: str) -> None:
    message = installed.create_denied(build_pod(LIST, role="anybody", hostNetwork=True), team)

    print(message)
    assert (
        "The pod sets a role, but it uses the node's network (spec.hostNetwork), which podrole cannot redirect."
        in message
    )
    assert "Remove spec.hostNetwork or the annotation iam.amazonaws.com/role." in message


def test_dry_run_shows_the_injection_and_stores_nothing(installed: Node, team: str) -> None:
    answer = installed.kubectl.run(
        f"--namespace={team}",
        "create",
        "--dry-run=server",
        "--output=json",
        "-f",
        "-",
        stdin=json.dumps(build_pod(LIST, role="anybody")),
    )

    shown = json.loads(answer.output)
    print([each["name"] for each in shown["spec"]["initContainers"]])
    assert [each["name"] for each in shown["spec"]["initContainers"]] == ["podrole-redirect", "podrole-sidecar"]
    assert installed.find("pod", "app", team) is None


def test_twenty_concurrent_pods_get_the_role(installed: Node, team: str) -> None:
    small = {"requests": {"cpu": "1m", "memory": "16Mi"}}
    pod = build_pod("", role="anybody", containers=[build_container(python(ROLE), resources=small)])
    installed.apply(build_workload("Job", pod, parallelism=20, completions=20, backoffLimit=0), team)

    installed.kubectl.run(f"--namespace={team}", "wait", "job/app", "--for=condition=Complete", "--timeout=115s")

    logs = installed.kubectl.run(
        f"--namespace={team}", "logs", "--selector=app=app", "--container=app", "--prefix", "--max-log-requests=20"
    ).output
    print(logs)
    assert len(re.findall("role/anybody", logs)) == 20
