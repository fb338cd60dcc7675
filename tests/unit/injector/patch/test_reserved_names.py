"""What has a reserved name is removed from a pod, and its author is told."""

import pytest

from testing.cases import CONFIG, build_case, find_container, load_case


def test_reserved_names_are_removed_with_a_warning() -> None:
    _, warnings = load_case("forged").build_patch()

    assert any('"podrole-extra" was removed' in warning for warning in warnings)


def test_app_container_with_a_name_of_podroles_init_containers_is_removed_with_a_warning() -> None:
    case = build_case(containers=[{"name": "app"}, {"name": "podrole-sidecar"}])

    _, warnings = case.build_patch()

    assert warnings == [
        'The container "podrole-sidecar" was removed: names that start with podrole- are reserved. Rename it.'
    ]


@pytest.mark.parametrize("field", ["containers", "initContainers"])
@pytest.mark.parametrize("volume", ["podrole-token", "podrole-run", "podrole-own"])
def test_mount_of_a_volume_with_a_reserved_name_is_removed_with_a_warning(field: str, volume: str) -> None:
    mounts = [{"name": "data", "mountPath": "/a"}, {"name": volume, "mountPath": "/b"}]
    case = build_case(**{"containers": [{"name": "other"}], field: [{"name": "app", "volumeMounts": mounts}]})

    pod, warnings = case.inject(CONFIG), case.build_patch()[1]

    [warning] = warnings
    assert warning.startswith(f'Container "app" lost its mount of volume "{volume}": names that start with podrole-')
    assert find_container(pod, "app")["volumeMounts"] == [{"name": "data", "mountPath": "/a"}]


def test_second_injection_has_no_warning_about_podroles_own_names() -> None:
    case = build_case()

    _, warnings = case.with_pod(case.inject(CONFIG)).build_patch()

    assert warnings == []
