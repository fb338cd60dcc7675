import pytest

from testing.pods.environment import build_arguments, build_environment, build_field, expand
from testing.pods.errors import PodError

POD = {
    "metadata": {
        "name": "web-0",
        "namespace": "team-a",
        "uid": "8f1d",
        "labels": {"app.kubernetes.io/name": "web"},
        "annotations": {"iam.amazonaws.com/role": "writer"},
    },
    "spec": {"serviceAccountName": "writer", "nodeName": "node"},
    "status": {"podIP": "10.77.0.2", "hostIP": "10.77.0.1"},
}


@pytest.mark.parametrize("source", ["secretKeyRef", "configMapKeyRef", "resourceFieldRef"])
def test_env_sources_other_than_field_ref_are_rejected(source: str) -> None:
    container = {"name": "app", "env": [{"name": "KEY", "valueFrom": {source: {}}}]}

    with pytest.raises(PodError, match=f"container app: env KEY: valueFrom {source} is not supported"):
        build_environment(container, {}, POD)


def test_unknown_field_path_is_rejected_with_the_supported_ones() -> None:
    container = {"name": "app", "env": [{"name": "IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}]}

    with pytest.raises(PodError, match=r"container app: env IPS: fieldPath 'status.podIPs' .* status.podIP, "):
        build_environment(container, {}, POD)


def test_env_from_is_rejected() -> None:
    with pytest.raises(PodError, match="container app: envFrom"):
        build_environment({"name": "app", "envFrom": [{"configMapRef": {"name": "c"}}]}, {}, POD)


def test_container_without_command_is_rejected() -> None:
    with pytest.raises(PodError, match="container app: no command"):
        build_arguments({"name": "app"}, ((), ()), {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "team-a"),
        ("metadata.uid", "8f1d"),
        ("metadata.labels['app.kubernetes.io/name']", "web"),
        ("metadata.annotations['iam.amazonaws.com/role']", "writer"),
        ("metadata.annotations['absent']", ""),
        ("spec.serviceAccountName", "writer"),
        ("spec.nodeName", "node"),
        ("status.podIP", "10.77.0.2"),
        ("status.hostIP", "10.77.0.1"),
    ],
)
def test_field_ref_reads_the_pods_field(path: str, value: str) -> None:
    assert build_field(path, POD) == value


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(NAME)", "web"),
        ("http://$(NAME):$(PORT)/", "http://web:80/"),
        ("$(ABSENT)", "$(ABSENT)"),
        ("$$(NAME)", "$(NAME)"),
        ("$$$(NAME)", "$web"),
        ("$NAME ${NAME}", "$NAME ${NAME}"),
        ("$(NAME", "$(NAME"),
        ("$", "$"),
        ("$$", "$"),
    ],
)
def test_variable_references_are_expanded_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"NAME": "web", "PORT": "80"}) == expanded


def test_variable_can_reference_only_earlier_variables() -> None:
    variables = [
        {"name": "EARLY", "value": "$(LATE)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LATE", "value": "$(POD)!"},
        {"name": "EMPTY"},
    ]

    environment = build_environment({"name": "app", "env": variables}, {"PATH": "/bin"}, POD)

    assert environment == {"PATH": "/bin", "EARLY": "$(LATE)", "POD": "web-0", "LATE": "web-0!", "EMPTY": ""}


@pytest.mark.parametrize(
    ("container", "arguments"),
    [
        pytest.param({}, ["serve", "--port", "80"], id="image-defaults"),
        pytest.param({"args": ["--port", "81"]}, ["serve", "--port", "81"], id="args"),
        pytest.param({"command": ["other"]}, ["other"], id="command"),
        pytest.param({"command": ["other"], "args": ["$(NAME)"]}, ["other", "web"], id="command-and-args"),
    ],
)
def test_command_and_args_override_the_image_defaults(container: dict[str, list[str]], arguments: list[str]) -> None:
    defaults = (("serve",), ("--port", "80"))

    assert build_arguments({"name": "app", **container}, defaults, {"NAME": "web"}) == arguments
