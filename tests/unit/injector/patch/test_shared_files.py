import time
from typing import Any

import pytest

from injector.config import Config
from injector.value_types import ModePolicy
from testing.cases import CONFIG, build_case, load_case

SECRET = {"name": "keys", "secret": {"secretName": "aws"}}


def warn(path: str, volume: dict[str, Any] = SECRET, config: Config = CONFIG, field: str = "containers") -> list[str]:
    container = {"name": "app", "image": "a", "volumeMounts": [{"name": "keys", "mountPath": path}]}
    other = {"name": "other", "image": "a"}
    case = build_case(**{"containers": [other], field: [container, other], "volumes": [volume]})
    _, warnings = case.build_patch(config)
    return [warning for warning in warnings if "mounts" in warning]


@pytest.mark.parametrize(
    "path",
    [
        *("/root/.aws", "/root/.aws/", "/.aws", "/home/app/.aws", "/root/.aws/credentials", "/home/app/.aws/config"),
        *("/root/.boto", "/etc/boto.cfg", "//root//.aws//"),
    ],
)
@pytest.mark.parametrize("config", [CONFIG, CONFIG._replace(mode=ModePolicy.ENV)], ids=["redirect", "env"])
def test_volume_at_the_files_of_the_shared_configuration_causes_a_warning(path: str, config: Config) -> None:
    (warning,) = warn(path, config=config)

    assert f'"app" mounts keys at {path}: AWS SDKs prefer credentials there' in warning


def test_volume_of_an_init_container_causes_a_warning() -> None:
    assert len(warn("/root/.aws", field="initContainers")) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/root/.aws/cli/cache",
        "/root/.aws/sso",
        "/root/aws",
        "/root/x.aws",
        "/root/.aws.d",
        "/etc/aws",
        "/etc/.boto.cfg",
    ],
)
def test_volume_elsewhere_causes_no_warning(path: str) -> None:
    assert warn(path) == []


@pytest.mark.parametrize("empty", [{}, {"medium": "Memory"}], ids=["disk", "memory"])
def test_empty_directory_causes_no_warning(empty: dict[str, Any]) -> None:
    assert warn("/root/.aws", {"name": "keys", "emptyDir": empty}) == []


def test_blocked_pod_has_no_role_to_prefer() -> None:
    case = load_case("no-role")
    mount = {"name": "keys", "mountPath": "/root/.aws"}
    pod = {**case.pod, "spec": {"containers": [{"name": "app", "volumeMounts": [mount]}], "volumes": [SECRET]}}

    _, warnings = case.with_pod(pod).build_patch()

    assert not any("mounts" in warning for warning in warnings)


@pytest.mark.parametrize("path", ["/" * 4096, "/.aws" * 800, "/.aws" + "/" * 4000 + "x", "/a" * 2048])
def test_reading_a_path_takes_little_time_whatever_its_length(path: str) -> None:
    began = time.process_time()

    warn(path)

    assert time.process_time() - began < 0.5
