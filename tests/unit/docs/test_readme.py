"""The README says what the code does."""

import json
import re

import pytest

from injector import metadata_keys
from injector.config import Config
from injector.decision.annotations import parse_annotations
from injector.k8s.objects import Metadata
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.iam.policies import TrustRequirements, build_subject, build_trust_policy
from testing.repository import ROOT
from tests.unit.docs.pages import read_block, read_section, read_tables

README = ROOT / "README.md"
INSTALL = read_section(README, "Install on EKS")
LONGEST_LINES = 110
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
ROLE = "arn:aws:iam::111122223333:role/reader"
PRECEDENCE = [(row[0], row[1].strip("`")) for row in read_tables(read_section(README, "Who gets which role"))[1:]]


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST_LINES


def test_the_trust_policy_is_what_the_command_prints() -> None:
    requirements = TrustRequirements(ROLE, frozenset({build_subject("team-a", "web")}))

    assert read_block(INSTALL, "json") == json.dumps(build_trust_policy(requirements, ISSUER), indent=2) + "\n"
    assert f"podrole trust-policy {ROLE} --namespace team-a --service-account web" in INSTALL


def test_the_install_lines_name_an_overlay_and_its_settings() -> None:
    [overlay] = re.findall(r"kubectl apply -k (\S+)", read_block(INSTALL, "sh"))
    files = re.findall(r"`(kustomize/\S+\.env)`", INSTALL)

    assert (ROOT / overlay / "kustomization.yaml").is_file()
    assert files == [f"{overlay}/images.env", f"{overlay}/settings.env"]
    settings = (ROOT / overlay / "settings.env").read_text()
    assert [name for name in re.findall(r"`(PODROLE_\w+)`", INSTALL) if f"\n{name}=" not in settings] == []


def test_the_install_lines_use_the_keys_that_the_webhook_reads() -> None:
    lines = read_block(INSTALL, "sh")

    assert f"{INJECTION_LABEL}={INJECTION_ENABLED}\n" in lines
    assert f" {metadata_keys.ROLE}=reader\n" in lines


@pytest.mark.parametrize("first", range(len(PRECEDENCE)), ids=[f"{kind} {key}" for kind, key in PRECEDENCE])
def test_roles_take_precedence_in_the_order_of_the_table(first: int) -> None:
    roles: dict[str, dict[str, str]] = {"pod": {}, "ServiceAccount": {}, "namespace": {}}
    for number, (kind, key) in enumerate(PRECEDENCE[first:], first):
        roles[kind][key] = f"role-{number}"
    pod, account, namespace = (Metadata({}, keys) for keys in roles.values())
    config = Config.from_environ(
        {"PODROLE_SIDECAR_IMAGE": "image", "PODROLE_REGION": "eu-west-1", "PODROLE_ACCOUNT_ID": "111122223333"}
    )

    settings = parse_annotations(pod, namespace, account, config).settings

    assert settings.role_arn == f"arn:aws:iam::111122223333:role/role-{first}"
