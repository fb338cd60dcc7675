"""The guard repeats what the template says about podrole's containers: kustomize/base/guard/pods.yaml."""

import json
import re

import pytest
import yaml

import contract
from injector.patch.template import SHIPPED
from testing.repository import ROOT

TEMPLATE = yaml.safe_load(SHIPPED.read_text())
POLICY, _ = yaml.safe_load_all((ROOT / "kustomize/base/guard/pods.yaml").read_text())
VARIABLES = {each["name"]: each["expression"] for each in POLICY["spec"]["variables"]}
EXPRESSIONS = " ".join(each["expression"] for each in POLICY["spec"]["validations"])
PARTS = {"redirectCommands": "redirect", "nodeCommands": "redirect-node", "blockCommands": "block"}


@pytest.mark.parametrize(("variable", "part"), PARTS.items(), ids=PARTS.values())
def test_guard_knows_exactly_the_commands_of_the_redirect(variable: str, part: str) -> None:
    commands = json.loads(VARIABLES[variable])

    assert commands == [container["command"] for container in TEMPLATE[part].values()]


def test_guard_knows_the_users_and_capabilities_of_the_redirect() -> None:
    contexts = {
        container["command"][0]: container["securityContext"]
        for part in PARTS.values()
        for container in TEMPLATE[part].values()
    }
    users = {command: context["runAsUser"] for command, context in contexts.items()}

    assert VARIABLES["redirectUser"].endswith(f"== 'nft' ? {users['nft']} : {users['python3']}")
    assert VARIABLES["redirectCapabilities"] == (
        f"variables.redirectUser == {users['python3']} ? {contexts['python3']['capabilities']['add']}"
        f" : {contexts['nft']['capabilities']['add']}"
    )


def test_guard_knows_the_commands_of_the_sidecar() -> None:
    sidecar = TEMPLATE["sidecar"]

    commands = [json.loads(found) for found in re.findall(r"== (\[\"[^\]]*\])", EXPRESSIONS)]

    assert commands == [sidecar["command"], sidecar["lifecycle"]["postStart"]["exec"]["command"]]


def test_guard_knows_the_mounts_of_podroles_containers() -> None:
    mounts = [*TEMPLATE["sidecar"]["volumeMounts"], TEMPLATE["run-with-host-ipc"]["mount"]]

    for mount in mounts:
        assert f"m.name == '{mount['name']}' && m.mountPath == '{mount['mountPath']}'" in EXPRESSIONS


def test_guard_knows_the_sidecars_user() -> None:
    assert set(re.findall(r"== (169\d\d)|\b(169\d\d) in", EXPRESSIONS)) == {
        (str(contract.SIDECAR_UID), ""),
        ("", str(contract.SIDECAR_UID)),
    }
