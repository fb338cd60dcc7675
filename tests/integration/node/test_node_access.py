"""Who can use the sidecar's way to the node: images whose user is the sidecar's, with metadata pass-through."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import contract
from tests.integration.node.cluster import Node, build_container, build_pod, python
from tests.integration.node.images import APP

IMAGE = "localhost/podrole-test-app:user-of-the-sidecar"
PASSTHROUGH = {"annotations": {"podrole.io/metadata-passthrough": "true"}}
LIST_ROLES = """
import os, socket
print("user", os.getuid())
try:
    with socket.create_connection(("169.254.169.254", 80), timeout=5) as connection:
        connection.sendall(b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.0\\r\\n")
        connection.sendall(b"Host: 169.254.169.254\\r\\n\\r\\n")
        print("role", connection.makefile().read().split("\\n\\n")[-1])
except OSError as error:
    print("unreachable", error)
"""
LIMITED = {"runAsUser": 1000, "allowPrivilegeEscalation": False}


@pytest.fixture(scope="module")
def image_of_the_sidecars_user(node: Node, images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app's image, with `USER 16925`."""
    [app] = [archive for archive in images if archive.name == "podrole-test-app.tar"]
    changed = tmp_path_factory.mktemp("image") / app.name
    change_user(app, changed, f"{contract.SIDECAR_UID}:{contract.SIDECAR_UID}")
    node.load_image(changed)
    return IMAGE


def change_user(archive: Path, changed: Path, user: str) -> None:
    """Copy an image's archive with another user and name."""
    with tarfile.open(archive) as source, tarfile.open(changed, "w") as target:
        [manifest] = json.load(extract(source, "manifest.json"))
        config = json.load(extract(source, manifest["Config"]))
        assert APP in manifest["RepoTags"]
        config["config"]["User"] = user
        add(target, "config.json", config)
        add(target, "manifest.json", [manifest | {"Config": "config.json", "RepoTags": [IMAGE]}])
        for layer in dict.fromkeys(manifest["Layers"]):
            member = source.getmember(layer)
            target.addfile(member, source.extractfile(member))


def extract(archive: tarfile.TarFile, name: str) -> Any:
    return archive.extractfile(name)


def add(archive: tarfile.TarFile, name: str, document: object) -> None:
    content = json.dumps(document).encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="module", params=["true", "false"], ids=["requires-users", "accepts-the-risk"])
def requires_users(request: pytest.FixtureRequest, overlay: Path, reapply: Callable[[], None]) -> Iterator[bool]:
    """Whether pods need users of their own. Pods can ask for metadata pass-through."""
    with more_settings(
        overlay / "settings.env",
        f"PODROLE_ALLOW_OVERRIDES=metadata-passthrough\nPODROLE_NODE_ACCESS_REQUIRES_USERS={request.param}\n",
    ):
        reapply()
        yield request.param == "true"
    reapply()


@contextmanager
def more_settings(file: Path, lines: str) -> Iterator[None]:
    before = file.read_text()
    file.write_text(before + lines)
    try:
        yield
    finally:
        file.write_text(before)


def test_image_of_the_sidecars_user_reaches_the_node_only_if_the_operator_accepts_it(
    installed: Node, team: str, image_of_the_sidecars_user: str, metadata: str, *, requires_users: bool
) -> None:
    container = build_container(python(LIST_ROLES)) | {"image": image_of_the_sidecars_user}
    pod = build_pod("", role="anybody", metadata=PASSTHROUGH, containers=[container])

    if requires_users:
        message = installed.create_denied(pod, team)
        print(message)
        assert '[NodeAccess] Container "app" could become user 16925' in message
        return
    warnings = installed.apply(pod, team)
    log = installed.await_end("app", team)

    print(metadata, warnings, log)
    assert "can become user 16925 and get the node's role" in warnings
    assert log.splitlines() == ["user 16925", "role node-role"]


def test_container_with_a_user_of_its_own_gets_the_pods_role(
    installed: Node, team: str, image_of_the_sidecars_user: str, metadata: str, *, requires_users: bool
) -> None:
    container = build_container(python(LIST_ROLES), securityContext=LIMITED) | {"image": image_of_the_sidecars_user}
    pod = build_pod("", role="anybody", metadata=PASSTHROUGH, containers=[container])

    installed.apply(pod, team)
    log = installed.await_end("app", team)

    print(metadata, requires_users, log)
    assert log.splitlines() == ["user 1000", "role anybody"]
