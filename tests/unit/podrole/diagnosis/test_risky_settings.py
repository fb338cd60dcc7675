"""The checks for unsafe settings of the webhook."""

from typing import Any

import pytest

from podrole.diagnosis.cluster import diagnose_cluster
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.states import (
    NOW,
    SAFE,
    build_cluster_state,
    build_deployment,
    find_texts,
    list_concerns,
    list_findings,
)


def diagnose(deployment: dict[str, Any]) -> list[Finding]:
    return list_findings(diagnose_cluster(build_cluster_state(deployment=deployment), {}, NOW))


@pytest.mark.parametrize(
    ("variable", "value", "codes"),
    [
        ("PODROLE_REGION", "nowhere", ["ConfigurationInvalid"]),
        ("PODROLE_ALLOW_OVERRIDES", "inject", ["OverridesAllowed"]),
        ("PODROLE_PODS_WITHOUT_ROLE", "ignore", ["PodsWithoutRoleIgnored"]),
        ("PODROLE_MODE", "env", ["EnvModeEverywhere"]),
        ("PODROLE_CREDENTIAL_SOURCE", "node", ["NodeCredentialSource"]),
        ("PODROLE_NODE_ACCESS_REQUIRES_USERS", "false", ["NodeAccessAllowed"]),
        ("PODROLE_STS_ENDPOINT", "http://sts", ["PlainHttp"]),
        ("PODROLE_TEMPLATE", "/etc/podrole/t.yaml", ["TemplateNotRead"]),
        ("PODROLE_SIDECAR_IMAGE", "localhost:5000/podrole-sidecar", ["ImageWithoutVersion"]),
        ("PODROLE_SIDECAR_IMAGE", "podrole-sidecar:latest", ["ImageWithoutVersion"]),
        ("PODROLE_SIDECAR_IMAGE", "localhost:5000/podrole-sidecar:1.2", []),
    ],
    ids=lambda value: ",".join(value) or "no concern" if isinstance(value, list) else None,
)
def test_unsafe_setting_is_the_only_concern(variable: str, value: str, codes: list[str]) -> None:
    assert list_concerns(diagnose(build_deployment(SAFE | {variable: value}))) == codes


def test_env_mode_that_requires_closed_metadata_is_a_note() -> None:
    settings = {"PODROLE_MODE": "env", "PODROLE_REQUIRE_CLOSED_METADATA": "true"}

    findings = diagnose(build_deployment(SAFE | settings))

    assert list_concerns(findings) == []
    assert "do not start where" in find_texts(findings, "EnvModeWhereClosed")[0]


def test_image_with_a_tag_but_no_digest_is_a_note() -> None:
    image = "localhost:5000/podrole-sidecar:1.2"

    findings = diagnose(build_deployment(SAFE | {"PODROLE_SIDECAR_IMAGE": image}))

    (finding,) = [finding for finding in findings if finding.code == "ImageWithoutDigest"]
    assert finding.level == "note"
    assert f"{image} is not pinned by digest" in finding.text


def test_settings_from_a_secret_are_reported_as_unread() -> None:
    deployment = build_deployment(SAFE)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "more"}}]

    findings = diagnose(deployment)

    assert list_concerns(findings) == ["SettingsNotRead"]
    assert find_texts(findings, "SettingsNotRead")[0].endswith("Secret more.")
