"""The round trip of the contract: what the injector writes into a pod means the same to the sidecar."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import contract
from contract.modes import Mode
from contract.settings import list_settings
from injector.config import Config as InjectorConfig
from injector.decision.pod_settings import POD_ANNOTATIONS, PodAnnotation
from injector.decision.session_tags import find_tag_problems
from injector.metadata_keys import SESSION_TAGS
from injector.patch.template import SHIPPED
from injector.value_types import ModePolicy
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import State
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.state import EndpointState
from testing.cases import (
    ENVIRON,
    all_containers,
    environment_of,
    find_container,
    load_case,
    load_injectable_cases,
)
from testing.handlers import call

NOW = 1_700_000_000
POD_FIELDS = {
    "metadata.namespace": "team-a",
    "metadata.name": "app-5d9c7-x2x9k",
    "metadata.uid": "0b1c2d3e-0000-4000-8000-000000000001",
    "metadata.labels['topology.kubernetes.io/zone']": "eu-west-1c",
}
INJECTOR_CONFIG = InjectorConfig.from_environ(
    ENVIRON | {"PODROLE_STS_ENDPOINT": "https://sts.example.com", "PODROLE_SIDECAR_METRICS": "true"}
)

LOOPBACK = ("127.0.0.1", contract.SIDECAR_PORT)


def resolve(variables: dict[str, Any]) -> dict[str, str]:
    """The environment as the kubelet makes it: fields of the pod filled in, $(NAME) of earlier variables expanded."""
    environ: dict[str, str] = {}
    for name, value in variables.items():
        text = value if isinstance(value, str) else POD_FIELDS[value["fieldRef"]["fieldPath"]]
        for known, its in environ.items():
            text = text.replace(f"$({known})", its)
        environ[name] = text
    return environ


def test_sidecar_reads_the_environment_that_the_injector_writes() -> None:
    pod = load_case("session-settings").inject(INJECTOR_CONFIG)
    annotations = pod["metadata"]["annotations"]

    config = Config.from_environ(resolve(environment_of(find_container(pod, contract.SIDECAR_CONTAINER))))

    assert config.role_arn == json.loads(annotations["podrole.io/status"])["role"]
    assert config.region == INJECTOR_CONFIG.region
    assert config.sts_endpoint == "https://sts.example.com"
    assert config.role_session_name == annotations["iam.amazonaws.com/session-name"]
    assert config.session_duration_seconds == int(annotations["podrole.io/session-duration"])
    assert config.requires_imds_token == (annotations["podrole.io/imds-tokens"] == "required")
    assert config.mode == Mode.REDIRECT
    assert config.run_directory == f"/dev/shm/podrole-{POD_FIELDS['metadata.uid']}"
    assert config.port == contract.SIDECAR_PORT
    assert config.zone == "eu-west-1c"
    assert config.metrics
    assert config.metrics_port == contract.METRICS_PORT
    assert config.token_file == contract.TOKEN_FILE


def test_pod_without_settings_gets_the_defaults_of_the_sidecar() -> None:
    pod = load_case("role-on-the-pod").inject(INJECTOR_CONFIG)

    config = Config.from_environ(resolve(environment_of(find_container(pod, contract.SIDECAR_CONTAINER))))

    assert config.role_session_name == "team-a.app-5d9c7-x2x9k"
    assert config.session_duration_seconds == 3600
    assert not config.requires_imds_token


@pytest.mark.parametrize(
    ("config", "variable", "address"),
    [
        pytest.param(INJECTOR_CONFIG, "RELATIVE_URI", ("169.254.170.2", 80), id="redirect"),
        pytest.param(INJECTOR_CONFIG._replace(mode=ModePolicy.ENV), "FULL_URI", LOOPBACK, id="env"),
        pytest.param(INJECTOR_CONFIG._replace(ipv6_only=True), "FULL_URI", LOOPBACK, id="ipv6-only"),
    ],
)
def test_injected_uri_returns_credentials(config: InjectorConfig, variable: str, address: tuple[str, int]) -> None:
    pod = load_case("role-on-the-pod").inject(config)
    sidecar = Config.from_environ(resolve(environment_of(find_container(pod, contract.SIDECAR_CONTAINER))))
    state = State(
        refresh_at=NOW + 1800,
        credentials=Credentials(sidecar.role_arn, "ASIAEXAMPLE", "secret", "token", NOW, NOW + 3600),
    )
    handler = create_handler(EndpointState(sidecar, lambda: state, b"key", "boot", clock=lambda: NOW))
    uri = resolve(environment_of(find_container(pod, "app")))[f"AWS_CONTAINER_CREDENTIALS_{variable}"]
    path = uri.removeprefix("http://{}:{}".format(*LOOPBACK))

    reply = call(handler, path, {"Host": address[0]}, server=address)

    document = json.loads(reply.body)
    assert reply.status == 200
    assert document["AccessKeyId"] == "ASIAEXAMPLE"
    assert document["RoleArn"] == sidecar.role_arn
    assert POD_FIELDS["metadata.uid"] in path


NOT_INJECTED = {contract.ENV_PORT, contract.ENV_METRICS_PORT, contract.ENV_TOKEN_FILE, contract.ENV_INSTANCE_ID}
"""For a sidecar that runs without the webhook, and for edited templates."""

SIDECAR_SETTINGS = {one.variable: one for one in list_settings(Config).values()}


def test_template_sets_every_setting_of_the_sidecar() -> None:
    document = yaml.safe_load(SHIPPED.read_text())

    names = [variable["name"] for variable in document["sidecar"]["env"]]

    assert sorted(names) == sorted(SIDECAR_SETTINGS.keys() - NOT_INJECTED)


@pytest.mark.parametrize("name", load_injectable_cases())
def test_no_placeholder_is_left_in_an_injected_pod(name: str) -> None:
    pod = load_injectable_cases()[name].inject(INJECTOR_CONFIG)

    sidecars = [container for container in all_containers(pod) if container["name"] == contract.SIDECAR_CONTAINER]
    values = [str(variable.get("value")) for sidecar in sidecars for variable in sidecar["env"]]

    assert [value for value in values if re.match(r"\$[^($]", value)] == []


@pytest.mark.parametrize("annotation", POD_ANNOTATIONS, ids=lambda annotation: annotation.key)
def test_sidecar_accepts_each_value_that_an_annotation_can_have(annotation: PodAnnotation) -> None:
    texts = ["", "x", "ab", "a" * 64, "a" * 65, "required", "optional", "a=b", "a=b,c=d", "900", "1800", "43200", "a/b"]
    valid = [text for text in texts if annotation.type.accepts(text) and not [*_find_tag_problems(annotation, text)]]

    assert valid
    assert [text for text in valid if not SIDECAR_SETTINGS[annotation.variable].type.accepts(text)] == []


def _find_tag_problems(annotation: PodAnnotation, text: str) -> Iterator[str]:
    return find_tag_problems(text) if annotation.key == SESSION_TAGS else iter(())


def test_package_contract_imports_nothing_because_the_post_start_hook_imports_it() -> None:
    tree = ast.parse(Path(contract.__file__).read_text())

    assert [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] == []
