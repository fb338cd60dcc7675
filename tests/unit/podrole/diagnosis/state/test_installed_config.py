"""The webhook's configuration, read from its Deployment and ConfigMaps."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from injector.errors import ConfigError
from injector.patch.template import SHIPPED
from podrole.diagnosis.state.installed_config import (
    DeploymentRef,
    build_effective_config,
    find_deployment,
    list_config_maps,
    read_deployed_env,
)
from testing.cases import ENVIRON
from testing.services.certificates import write_certificates
from tests.unit.podrole.diagnosis.states import build_configuration, build_deployment, build_webhook


def build_config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def build_container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "injector", **fields}]}}}}


def mount_template(path: str, mount: dict[str, Any]) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in {**ENVIRON, "PODROLE_TEMPLATE": path}.items()]
    deployment = build_container(env=env, volumeMounts=[{"name": "template", **mount}])
    volume = {"name": "template", "configMap": {"name": "podrole-template"}}
    deployment["spec"]["template"]["spec"]["volumes"] = [volume]
    return deployment


@pytest.mark.parametrize(
    "deployment",
    [
        pytest.param({}, id="empty"),
        pytest.param({"spec": None}, id="null-spec"),
        pytest.param(build_container(), id="no-env"),
        pytest.param(build_container(env=None, envFrom=None), id="null-env"),
    ],
)
def test_deployment_without_settings_has_an_empty_environment(deployment: dict[str, Any]) -> None:
    settings = read_deployed_env(deployment, [])

    assert settings.environ == {}
    with pytest.raises(ConfigError, match="PODROLE_SIDECAR_IMAGE is not set"):
        build_effective_config(settings, {})


def test_variables_override_config_maps_as_in_the_container() -> None:
    deployment = build_container(
        envFrom=[{"configMapRef": {"name": "podrole-injector-7f"}}],
        env=[
            {"name": "PODROLE_REGION", "value": "eu-west-1"},
            {"name": "PODROLE_MODE", "valueFrom": {"configMapKeyRef": {"name": "modes", "key": "mode"}}},
        ],
    )
    config_maps = [
        build_config_map("podrole-injector-7f", PODROLE_REGION="us-east-1", PODROLE_ACCOUNT_ID="111122223333"),
        build_config_map("modes", mode="env"),
    ]

    settings = read_deployed_env(deployment, config_maps)

    assert list_config_maps(deployment) == ["podrole-injector-7f", "modes"]
    assert settings.environ == {
        "PODROLE_REGION": "eu-west-1",
        "PODROLE_ACCOUNT_ID": "111122223333",
        "PODROLE_MODE": "env",
    }
    assert settings.gaps == ()


def test_settings_in_secrets_or_missing_config_maps_are_gaps() -> None:
    deployment = build_container(
        envFrom=[{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "absent"}}],
        env=[
            {"name": "PODROLE_REGION", "valueFrom": {"secretKeyRef": {"name": "s", "key": "region"}}},
            {"name": "PODROLE_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
    )

    deployment["metadata"] = {"namespace": "podrole-system"}

    settings = read_deployed_env(deployment, [])

    assert settings.environ == {"PODROLE_NAMESPACE": "podrole-system"}
    assert settings.gaps == ("Secret s", "ConfigMap absent", "PODROLE_REGION")


def test_settings_are_read_from_the_injector_s_container() -> None:
    deployment = build_deployment(ENVIRON)
    containers = deployment["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "istio-proxy", "env": [{"name": "PROXY", "value": "1"}]})

    assert read_deployed_env(deployment, []).environ == ENVIRON


@pytest.mark.parametrize(
    "mount",
    [
        pytest.param({"mountPath": "/etc/podrole"}, id="directory"),
        pytest.param({"mountPath": "/etc/podrole/t.yaml", "subPath": "t.yaml"}, id="file"),
    ],
)
def test_edited_template_is_read_from_the_mounted_config_map(mount: dict[str, Any]) -> None:
    edited = yaml.safe_load(SHIPPED.read_text())
    edited["sidecar"]["resources"]["limits"]["memory"] = "128Mi"
    deployment = mount_template("/etc/podrole/t.yaml", mount)
    config_map = build_config_map("podrole-template", **{"t.yaml": yaml.safe_dump(edited)})

    effective_config = build_effective_config(read_deployed_env(deployment, [config_map]), {})

    assert effective_config.template.sidecar["resources"]["limits"]["memory"] == "128Mi"
    assert not effective_config.is_template_shipped


@pytest.mark.parametrize("text", ["[", "{}"], ids=["not-yaml", "no-containers"])
def test_invalid_edited_template_is_rejected(text: str) -> None:
    deployment = mount_template("/etc/podrole/t.yaml", {"mountPath": "/etc/podrole"})
    settings = read_deployed_env(deployment, [build_config_map("podrole-template", **{"t.yaml": text})])

    with pytest.raises(ConfigError, match="template"):
        build_effective_config(settings, {})


def test_unreadable_edited_template_is_replaced_by_the_default() -> None:
    effective_config = build_effective_config(
        read_deployed_env(mount_template("/other/t.yaml", {"mountPath": "/etc/podrole"}), []), {}
    )

    assert effective_config.is_template_shipped


def test_secret_of_the_serving_certificate_is_found() -> None:
    mounts = [{"name": "tls", "mountPath": "/etc/podrole/tls", "readOnly": True}]
    own = build_container(env=[{"name": "PODROLE_CERTIFICATE_SECRET", "value": "mine"}], volumeMounts=mounts)
    files = build_container(
        env=[{"name": "PODROLE_TLS_CERT", "value": "/etc/podrole/tls/cert.pem"}], volumeMounts=mounts
    )
    files["spec"]["template"]["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "podrole-injector-tls"}}]

    assert read_deployed_env(build_container(), []).certificate == ("podrole-injector-certs", "tls.crt")
    assert read_deployed_env(own, []).certificate == ("mine", "tls.crt")
    assert read_deployed_env(files, []).certificate == ("podrole-injector-tls", "cert.pem")


def test_variables_of_the_caller_override_the_deployment() -> None:
    settings = read_deployed_env(build_deployment(ENVIRON), [])

    effective_config = build_effective_config(settings, {"PODROLE_MODE": "env", "HOME": "/root"})

    assert effective_config.config.mode == "env"


def test_deployment_is_found_by_the_service_of_the_webhook() -> None:
    webhook = build_webhook(clientConfig={"service": {"namespace": "iam", "name": "roles"}})

    assert find_deployment([build_configuration(webhook)]) == DeploymentRef("iam", "roles")
    assert find_deployment([build_configuration(build_webhook(clientConfig={"url": "https://x"}))]) == DeploymentRef()
    assert find_deployment([]) == DeploymentRef("podrole-system", "podrole-injector")


def test_sts_ca_is_read_from_the_mounted_config_map(tmp_path: Path) -> None:
    pem = write_certificates(tmp_path, ["sts.example"]).ca.read_text()
    deployment = mount_template("/etc/podrole/t.yaml", {"mountPath": "/etc/podrole"})
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] += [
        {"name": "PODROLE_STS_CA", "value": "/etc/podrole/ca.pem"}
    ]
    files = {"t.yaml": SHIPPED.read_text(), "ca.pem": pem}

    effective_config = build_effective_config(
        read_deployed_env(deployment, [build_config_map("podrole-template", **files)]), {}
    )

    [found] = [one["value"] for one in effective_config.template.sidecar["env"] if one["name"] == "PODROLE_STS_CA_PEM"]
    assert found.split() == pem.split()


def test_unreadable_sts_ca_is_a_gap() -> None:
    env = [{"name": name, "value": value} for name, value in {**ENVIRON, "PODROLE_STS_CA": "/secret/ca.pem"}.items()]

    settings = read_deployed_env(build_container(env=env), [])

    assert settings.gaps == ("PODROLE_STS_CA",)
    assert build_effective_config(settings, {}).config.region == ENVIRON["PODROLE_REGION"]
