"""A pod gets its own role, and no other role, in every way that SDKs use."""

import json

import pytest
from click.testing import CliRunner

from podrole.__main__ import main as podrole
from testing.cluster.api import wait_for
from tests.integration.node.cluster import Node, build_container, build_pod, build_workload, python
from tests.integration.node.store import Store

STORE_AND_READ = "echo $(hostname) | aws s3 cp - s3://{bucket}/greeting && aws s3 cp s3://{bucket}/greeting -"
NEIGHBOUR = "aws s3 ls s3://team-b 2>&1 | grep -o AccessDenied"
BOTO3 = """
import boto3, sys
s3 = boto3.client("s3")
s3.put_object(Bucket="{bucket}", Key="boto3", Body=b"hello from boto3")
print(s3.get_object(Bucket="{bucket}", Key="boto3")["Body"].read().decode())
session = boto3.Session()
print("method", session.get_credentials().method)
"""
WITHOUT_ECS = "unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; "
REACH = """
import socket, sys, urllib.request
for address, port in (("169.254.169.254", 80), ("169.254.169.254", 8080), ("169.254.170.2", 80)):
    try:
        with socket.create_connection((address, port), timeout=3) as connection:
            connection.sendall(b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.0\\r\\n")
            connection.sendall(b"Host: 169.254.169.254\\r\\n\\r\\n")
            print(address, port, connection.recv(4096).split(b"\\r\\n\\r\\n")[-1].decode())
    except OSError as error:
        print(address, port, "unreachable")
"""


def run_podrole(node: Node, *arguments: str) -> str:
    """Run the podrole command; return its output, with the exit code as the last line."""
    result = CliRunner().invoke(podrole, arguments, env={"KUBECONFIG": node.kubectl.kubeconfig})
    return f"{result.output}\n{result.exit_code}"


def test_deployment_can_use_only_its_own_bucket(installed: Node, team_a: str) -> None:
    script = f"{STORE_AND_READ.format(bucket='team-a')}; {NEIGHBOUR}; echo done; sleep 600"
    pod = build_pod(script, name="web", role="team-a", account="web")
    installed.apply(build_workload("Deployment", pod), team_a)
    installed.await_ready("deployment/web", team_a, "condition=Available")

    log = wait_for("the end of the script", lambda: _find_end(installed, "deployment/web", team_a), 120)

    print(log)
    assert log.splitlines() == [installed.execute("deployment/web", team_a, "hostname").strip(), "AccessDenied", "done"]


def _find_end(node: Node, name: str, namespace: str) -> str | None:
    log = node.log(name, namespace)
    return log if log.endswith("done\n") else None


@pytest.mark.parametrize(("way", "method"), [("", "container-role"), (WITHOUT_ECS, "iam-role")], ids=["ecs", "imds"])
def test_boto3_gets_the_role(installed: Node, team: str, way: str, method: str) -> None:
    log = installed.run(way + python(BOTO3.format(bucket="anybody")), team, role="anybody")

    print(log)
    assert log.splitlines() == ["hello from boto3", f"method {method}"]


@pytest.mark.parametrize("way", ["", WITHOUT_ECS], ids=["ecs", "imds"])
def test_aws_cli_gets_the_role(installed: Node, team: str, way: str) -> None:
    log = installed.run(f"{way}{STORE_AND_READ.format(bucket='anybody')} && aws configure list", team, role="anybody")

    print(log)
    assert log.startswith("app\n")
    assert ("container-role" if not way else "iam-role") in log


def test_sts_denial_is_reported_by_sdk_sidecar_and_check(installed: Node, team_a: str) -> None:
    pod = build_pod("aws s3 ls s3://team-a; sleep 600", role="team-a", account="other")
    installed.apply(pod, team_a)
    installed.await_ready("pod/app", team_a)

    status = installed.execute("app", team_a, "python3", "-m", "sidecar.status", container="podrole-sidecar")
    check = run_podrole(installed, "check", f"{team_a}/app")
    overview = run_podrole(installed, "check", "-n", team_a)
    said = wait_for("the CLI's sentence", lambda: installed.log("app", team_a), 60)

    print(status, check, overview, said, sep="\n")
    assert "state         refused" in status
    assert "AccessDenied" in status
    assert "AccessDenied" in check
    assert check.endswith("\n1")
    assert f"pod {team_a}/app\n  problem  STS denied the role" in overview
    assert overview.endswith("\n1")
    assert "AccessDenied" in said or "Unable to locate credentials" in said


def test_pod_without_a_role_reaches_nothing(installed: Node, team: str, metadata: str) -> None:
    log = installed.run(f"{python(REACH)}; aws s3 ls 2>&1 || true", team)

    print(metadata, log)
    assert log.splitlines()[:3] == [
        "169.254.169.254 80 unreachable",
        "169.254.169.254 8080 unreachable",
        "169.254.170.2 80 unreachable",
    ]
    assert "Unable to locate credentials" in log


def test_pod_with_a_role_reaches_only_its_sidecar(installed: Node, team: str, metadata: str) -> None:
    log = installed.run(python(REACH), team, role="anybody")

    print(metadata, log)
    assert log.splitlines()[0] == "169.254.169.254 80 anybody"
    assert log.splitlines()[1] == "169.254.169.254 8080 unreachable"


def test_pod_in_unlabelled_namespace_keeps_the_node_role(installed: Node, plain: str, metadata: str) -> None:
    log = installed.run(python(REACH), plain, role="anybody")

    print(metadata, log)
    pod = installed.read("pod", "app", plain)
    assert "initContainers" not in pod["spec"]
    assert "podrole.io/status" not in pod["metadata"]["annotations"]
    assert log.splitlines()[0] == "169.254.169.254 80 node-role"


def test_init_containers_have_credentials_before_the_app_starts(installed: Node, team: str) -> None:
    first = build_container(STORE_AND_READ.format(bucket="anybody"), name="first")
    own = build_container("sleep 600", name="own-sidecar", restartPolicy="Always")
    pod = build_pod("aws s3 cp s3://anybody/greeting -", role="anybody", initContainers=[own, first])

    installed.apply(pod, team)
    log = installed.await_end("app", team)

    print(log)
    names = [each["name"] for each in installed.read("pod", "app", team)["spec"]["initContainers"]]
    assert names == ["podrole-redirect", "podrole-sidecar", "own-sidecar", "first"]
    assert log == installed.log("app", team, "first") == "app\n"


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_workload_gets_the_role(installed: Node, team: str, kind: str) -> None:
    script = "aws s3 ls s3://anybody && echo done; sleep 600"
    more = {"serviceName": "app"} if kind == "StatefulSet" else {}
    installed.apply(build_workload(kind, build_pod(script, role="anybody"), **more), team)

    log = wait_for("the end of the script", lambda: _find_end(installed, f"{kind.lower()}/app", team), 120)

    print(log)
    assert log.endswith("done\n")


def test_job_and_scheduled_cron_job_complete(installed: Node, team: str) -> None:
    job = build_workload("Job", build_pod("aws s3 ls s3://anybody", role="anybody"), backoffLimit=0)
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "cron"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job["spec"]}},
    }
    installed.apply(job, team)
    installed.apply(cron_job, team)

    installed.await_ready("job/app", team, "condition=Complete")
    scheduled = wait_for("a Job of the schedule", lambda: _find_scheduled(installed, team), 90)
    installed.await_ready(f"job/{scheduled}", team, "condition=Complete")

    print(installed.kubectl.run(f"--namespace={team}", "get", "jobs").output)


def _find_scheduled(node: Node, namespace: str) -> str | None:
    names = [each["metadata"]["name"] for each in node.read("jobs", "", namespace)["items"]]
    return next((name for name in names if name.startswith("cron-")), None)


def test_debugger_and_exec_get_the_role_of_the_pod(installed: Node, team: str, store: Store) -> None:
    """A debugger gets no variables: it uses the metadata address, and the endpoint is set explicitly."""
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)
    command = ["/bin/sh", "-c", "aws s3 ls s3://anybody && echo seen"]
    image = build_container("")["image"]
    debug = [f"--namespace={team}", "debug", "app", f"--image={image}", "--container=debugger", "--profile=general"]
    installed.kubectl.run(*debug, f"--env=AWS_ENDPOINT_URL={store.url}", "--env=AWS_REGION=us-east-1", "--", *command)

    by_exec = installed.execute("app", team, *command)
    by_debugger = wait_for("the debugger's end", lambda: _find_seen(installed, team), 120)

    print(by_exec, by_debugger)
    assert by_exec.endswith("seen\n")
    by_default = installed.kubectl.run(f"--namespace={team}", "exec", "app", "--", "id", "-u").output
    assert by_default == "65532\n"


def _find_seen(node: Node, namespace: str) -> str | None:
    log = node.log("app", namespace, "debugger")
    return log if "seen" in log else None


def test_status_annotation_has_mode_and_role(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), team)

    status = json.loads(installed.read("pod", "app", team)["metadata"]["annotations"]["podrole.io/status"])

    print(status)
    assert status["mode"] == "redirect"
    assert status["role"] == "arn:aws:iam::111122223333:role/anybody"
