"""The checks for unsafe settings of the webhook."""

from typing import Any

import pytest

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.findings import Finding
from testing.hostile_text import find_unprintable
from tests.unit.contract.test_service_links import build_links
from tests.unit.podrole.diagnosis.states import (
    NOW,
    SAFE,
    build_cluster_state,
    build_deployment,
    diagnose_with,
    find_texts,
    list_concerns,
    list_findings,
)


def diagnose(deployment: dict[str, Any]) -> list[Finding]:
    return diagnose_with(deployment=deployment)


@pytest.mark.parametrize(
    ("variable", "value", "codes"),
    [
        ("PODROLE_REGION", "nowhere", ["ConfigurationInvalid"]),
        ("PODROLE_REGION", "eu-wst-1", ["ConfigurationInvalid"]),
        ("PODROLE_REGION", "eu-west-9", ["UnknownRegion"]),
        ("PODROLE_REGION", "eu-west-3", []),
        ("PODROLE_REQUIRE_STS_ENDPOINT", "true", ["ConfigurationInvalid"]),
        ("PODROLE_AWS_ENDPOINT_URL", "https://store.example.com", ["StsOfAws"]),
        ("PODROLE_AWS_ENDPOINT_URL", "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com", []),
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


def test_unknown_setting_of_the_deployment_is_a_problem_with_the_nearest_name_and_its_source() -> None:
    deployment = build_deployment(SAFE | {"PODROLE_STS_ENDPONT": "https://sts.example.com"})
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"configMapRef": {"name": "podrole-settings-5h"}}]
    config_map = {"metadata": {"name": "podrole-settings-5h"}, "data": {"PODROLE_ACOUNT_ID": "111122223333"}}
    cluster = build_cluster_state(deployment=deployment, config_maps=[config_map])

    findings = list_findings(diagnose_cluster(cluster, {}, NOW))

    end = "A replica of the webhook does not start with it."
    assert list_concerns(findings) == ["UnknownSetting"] * 2
    assert find_texts(findings, "UnknownSetting") == [
        f"PODROLE_ACOUNT_ID is not a setting; did you mean PODROLE_ACCOUNT_ID? (ConfigMap podrole-settings-5h). {end}",
        f"PODROLE_STS_ENDPONT is not a setting; did you mean PODROLE_STS_ENDPOINT? (the Deployment). {end}",
    ]


def test_unknown_settings_do_not_hide_other_findings() -> None:
    """The webhook that runs can be newer than the command: then it knows them."""
    findings = diagnose(build_deployment(SAFE | {"PODROLE_NEWER": "x", "PODROLE_MODE": "env"}))

    assert list_concerns(findings) == ["UnknownSetting", "EnvModeEverywhere"]


def test_hundreds_of_unknown_settings_are_counted() -> None:
    unknown = {f"PODROLE_{number}_\x1b[31m{'x' * 5000}": "x" for number in range(500)}

    texts = find_texts(diagnose(build_deployment(SAFE | unknown)), "UnknownSetting")

    assert len(texts) == 11
    assert texts[-1] == "And 490 more of this kind."
    assert max(map(len, texts)) < 300
    assert find_unprintable("".join(texts)) == ""


def test_settings_of_the_deployment_that_look_like_services_are_ignored() -> None:
    assert list_concerns(diagnose(build_deployment(SAFE | build_links("podrole-injector", "10.96.0.10")))) == []


STORE = {"PODROLE_STS_ENDPOINT": "https://store.example.com", "PODROLE_AWS_ENDPOINT_URL": "https://store.example.com"}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        pytest.param({}, ["NoAccount"], id="within-aws"),
        pytest.param(STORE, ["NoAccountOutsideAws"], id="outside-aws"),
        pytest.param(STORE | {"PODROLE_BASE_ROLE_ARN": "arn:aws:iam:::role/"}, [], id="outside-aws-with-a-prefix"),
        pytest.param(STORE | {"PODROLE_ACCOUNT_ID": "RGW1"}, [], id="outside-aws-with-an-account"),
        pytest.param(
            {"PODROLE_STS_ENDPOINT": "https://sts.eu-west-1.amazonaws.com", "PODROLE_REQUIRE_STS_ENDPOINT": "true"},
            ["NoAccountOutsideAws"],
            id="overlay-outside-aws-with-an-endpoint-of-aws",
        ),
    ],
)
def test_installation_without_an_account_is_reported(changes: dict[str, str], codes: list[str]) -> None:
    findings = diagnose(build_deployment({**SAFE, "PODROLE_ACCOUNT_ID": "", **changes}))

    found = [one for one in findings if one.code.startswith("NoAccount")]
    assert [one.code for one in found] == codes
    assert [one.level for one in found] == ["problem" if one == "NoAccountOutsideAws" else "note" for one in codes]


def test_region_of_a_store_is_no_concern() -> None:
    settings = STORE | {"PODROLE_REGION": "garage", "PODROLE_REQUIRE_STS_ENDPOINT": "true"}

    assert list_concerns(diagnose(build_deployment(SAFE | settings))) == []


def test_finding_about_a_url_does_not_repeat_its_password() -> None:
    findings = diagnose(build_deployment(SAFE | {"PODROLE_AWS_ENDPOINT_URL": "http://me:w0rd@store.example?key=w0rd"}))

    assert list_concerns(findings) == ["StsOfAws", "PlainHttp"]
    assert "w0rd" not in str(findings)
    assert "http://***@store.example?***" in find_texts(findings, "PlainHttp")[0]
