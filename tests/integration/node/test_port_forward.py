"""What `kubectl port-forward` to the sidecar gets on a real node, and what the kubelet tells the app."""

import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import contract
from tests.integration.node.cluster import Node, build_pod, python

FETCH = """
import json, os, urllib.error, urllib.request
def fetch(path):
    try:
        return urllib.request.urlopen("http://169.254.170.2" + path, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
paths = os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], "/v2/credentials", "/v1/credentials"
print(json.dumps([paths[0], *map(fetch, paths)]))
"""
ROLES = "/latest/meta-data/iam/security-credentials"


@contextmanager
def port_forward(node: Node, namespace: str) -> Iterator[int]:
    """Forward a port of this machine to the sidecar; yield the port."""
    kubectl = node.kubectl
    arguments = [f"--namespace={namespace}", "port-forward", "pod/app", f":{contract.SIDECAR_PORT}"]
    process = subprocess.Popen(
        [kubectl.program, *arguments],
        env={"PATH": os.defpath, "HOME": str(kubectl.home), "KUBECONFIG": kubectl.kubeconfig},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout as output:
        try:
            yield int(output.readline().split(" -> ")[0].rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(10)


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_port_forward_gets_the_status_and_no_credentials(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 3600", role="anybody"), team)
    installed.await_ready("pod/app", team)
    uid = installed.read("pod", "app", team)["metadata"]["uid"]
    paths = [f"{contract.CREDENTIALS_PATH}/{uid}", ROLES, f"{ROLES}/anybody", "/v1/credentials"]

    with port_forward(installed, team) as port:
        refused = [get(port, path) for path in paths]
        status, body = get(port, contract.STATUS_PATH)

    print(refused, status, body)
    assert refused == [(403, b"")] * len(paths)
    assert (status, json.loads(body)["state"]) == (200, "serving")


def test_kubelet_expands_the_credential_path(installed: Node, team: str) -> None:
    log = installed.run(python(FETCH), team, role="anybody")

    uid = installed.read("pod", "app", team)["metadata"]["uid"]
    assert json.loads(log) == [f"{contract.CREDENTIALS_PATH}/{uid}", 200, 404, 403]
