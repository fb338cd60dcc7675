"""The round trip of the contract: what the injector writes into a pod means the same to the sidecar."""

import json
from typing import Any

import contract
from contract.modes import Mode
from injector.config import Config as InjectorConfig
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import State
from sidecar.endpoints.app import AppState, create_app
from tests.unit.injector.cases import ENVIRON, environment_of, find_container, load_case

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


def resolve(variables: dict[str, Any]) -> dict[str, str]:
    """The environment as the kubelet makes it: fields of the pod filled in, $(NAME) of earlier variables expanded."""
    environ: dict[str, str] = {}
    for name, value in variables.items():
        text = value if isinstance(value, str) else POD_FIELDS[value["fieldRef"]["fieldPath"]]
        for known, its in environ.items():
            text = text.replace(f"$({known})", its)
        environ[name] = text
    return environ


def test_the_sidecar_understands_the_environment_that_the_injector_gives_it() -> None:
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


def test_without_settings_of_its_own_a_pod_gets_the_sidecars_defaults() -> None:
    pod = load_case("role-on-the-pod").inject(INJECTOR_CONFIG)

    config = Config.from_environ(resolve(environment_of(find_container(pod, contract.SIDECAR_CONTAINER))))

    assert config.role_session_name == "team-a.app-5d9c7-x2x9k"
    assert config.session_duration_seconds == 3600
    assert not config.requires_imds_token


def test_the_uri_that_an_app_is_given_leads_to_the_credentials() -> None:
    pod = load_case("role-on-the-pod").inject(INJECTOR_CONFIG)
    config = Config.from_environ(resolve(environment_of(find_container(pod, contract.SIDECAR_CONTAINER))))
    state = State(
        refresh_at=NOW + 1800,
        credentials=Credentials(config.role_arn, "ASIAEXAMPLE", "secret", "token", NOW, NOW + 3600),
    )
    client = create_app(AppState(config, lambda: state, b"key", "boot", clock=lambda: NOW)).test_client()
    uri = environment_of(find_container(pod, "app"))["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]

    reply = client.get(uri, headers={"Host": "169.254.170.2"})

    assert reply.status_code == 200
    assert reply.get_json()["AccessKeyId"] == "ASIAEXAMPLE"
    assert reply.get_json()["RoleArn"] == config.role_arn
