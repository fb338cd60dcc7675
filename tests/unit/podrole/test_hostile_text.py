"""What somebody else wrote reaches the operator's terminal as printable text, from each command that reads files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.hostile_text import STORED, find_unprintable
from tests.unit.podrole.conftest import Run

ISSUER = ("--issuer", "https://oidc.example.com/id/ABC")
ROLE = "arn:aws:iam::111122223333:role/reader"


def build_object(kind: str, name: str, annotations: dict[str, str], **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def build_pod(annotations: dict[str, str], name: str = "web", **security: object) -> dict[str, Any]:
    containers = [{"name": STORED, "image": STORED, "securityContext": security}]
    return build_object("Pod", name, annotations, spec={"serviceAccountName": name, "containers": containers})


def build_account(value: str, name: str = "web") -> dict[str, Any]:
    return build_object("ServiceAccount", name, {"iam.amazonaws.com/role": value})


def build_namespace(annotations: dict[str, str], name: str = "web") -> dict[str, Any]:
    return build_object("Namespace", name, annotations)


ROLE_OF_POD = {"iam.amazonaws.com/role": ROLE}
CASES: dict[str, list[dict[str, Any]]] = {
    "role-of-the-pod": [build_namespace({}), build_pod({"iam.amazonaws.com/role": STORED})],
    "role-of-the-service-account": [build_namespace({}), build_account(STORED), build_pod({})],
    "role-of-the-namespace": [build_namespace({"podrole.io/default-role": STORED}), build_pod({})],
    "intermediate-role": [build_namespace({"podrole.io/intermediate-role": STORED}), build_pod(ROLE_OF_POD)],
    "external-id": [
        build_namespace({"podrole.io/intermediate-role": ROLE}),
        build_pod({**ROLE_OF_POD, "iam.amazonaws.com/external-id": STORED}),
    ],
    "session-name": [build_namespace({}), build_pod({**ROLE_OF_POD, "iam.amazonaws.com/session-name": STORED})],
    "session-tags": [build_namespace({}), build_pod({**ROLE_OF_POD, "podrole.io/session-tags": STORED})],
    "allow-list-of-kube2iam": [build_namespace({"iam.amazonaws.com/allowed-roles": STORED}), build_pod(ROLE_OF_POD)],
    "allow-list-of-kiam": [build_namespace({"iam.amazonaws.com/permitted": f"({STORED}"}), build_pod(ROLE_OF_POD)],
    "unknown-annotation": [build_namespace({}), build_pod({**ROLE_OF_POD, f"podrole.io/{STORED}": STORED})],
    "name-of-a-privileged-container": [build_namespace({}), build_pod(ROLE_OF_POD, privileged=True)],
    "name-of-a-container-with-the-sidecars-user": [build_namespace({}), build_pod({}, runAsUser=16925)],
    "names": [build_namespace({}, STORED), build_account(ROLE, STORED), build_pod({}, STORED)],
    "kind": [build_object(STORED, STORED, {})],
    "pod-without-a-spec": [build_object("Pod", STORED, ROLE_OF_POD)],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": STORED,
            "Effect": "Allow",
            "Principal": {"Federated": STORED, "AWS": STORED},
            "Action": STORED,
            "Condition": {STORED: {STORED: STORED}},
        }
    ],
}
COMMANDS = {
    "inject": ("inject", "-f", "pods.yaml"),
    "inject-as-json": ("inject", "-f", "pods.yaml", "-o", "json"),
    "uninject": ("uninject", "-f", "pods.yaml"),
    "uninject-as-json": ("uninject", "-f", "pods.yaml", "-o", "json"),
    "plan": ("plan", "-f", "pods.yaml"),
    "plan-as-json": ("plan", "-f", "pods.yaml", "-o", "json"),
    "plan-as-html": ("plan", "-f", "pods.yaml", "-o", "html"),
    "trust-policy-of-all": ("trust-policy", "--all", "-f", "pods.yaml", *ISSUER),
    "trust-policy-of-all-as-json": ("trust-policy", "--all", "-f", "pods.yaml", "-o", "json", *ISSUER),
    "trust-policy-of-a-role": ("trust-policy", ROLE, "-f", "pods.yaml", *ISSUER),
    "trust-policy-check": ("trust-policy", "--check", "policy.json", *ISSUER),
    "trust-policy-merge": ("trust-policy", ROLE, "--merge", "policy.json", "-n", "a", "-s", "b", *ISSUER),
    "inject-of-no-yaml": ("inject", "-f", "broken.yaml"),
    "role-of-the-command-line": ("trust-policy", STORED),
    "command-of-the-command-line": (STORED,),
    "option-of-the-command-line": ("inject", f"--{STORED}"),
    "file-of-the-command-line": ("inject", "-f", STORED),
    "target-of-the-command-line": ("check", STORED),
}


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("objects", CASES.values(), ids=CASES)
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_hostile_text_is_printed_as_printable_text(
    arguments: tuple[str, ...], objects: list[dict[str, Any]], run: Run
) -> None:
    Path("pods.yaml").write_text(yaml.safe_dump_all(objects))
    Path("policy.json").write_text(json.dumps(POLICY))
    Path("broken.yaml").write_text(f'a: "{STORED}')

    result = run(*arguments)

    assert result.stdout + result.stderr
    is_manifest = arguments in (COMMANDS["inject"], COMMANDS["uninject"])
    assert is_manifest or not find_unprintable(result.stdout)
    assert not find_unprintable(result.stderr)
    if result.stdout and "json" in arguments:
        json.loads(result.stdout)


@pytest.mark.usefixtures("settings")
def test_manifest_with_control_characters_is_printed_byte_for_byte(run: Run) -> None:
    manifest = 'kind: ConfigMap\ndata: {a: "\u202e\x85"}\n'

    assert run("inject", "-f", "-", stdin=manifest).stdout == manifest
