"""The built images at work: in a pod behind the real rules, and each module of ours imported in its image."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

import contract
from images.archive import Image
from testing.demo_node import DemoNode
from testing.pods import Image as PodImage
from testing.repository import ROOT
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""

ENDPOINTS = """
import itertools, json
import boto3
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError

session = boto3.session.Session()

def find(region, fips, dual):
    asked = []
    def answer(request, **_):
        asked.append(request.url)
        return AWSResponse(request.url, 500, {}, None)
    config = Config(signature_version=UNSIGNED, use_fips_endpoint=fips, use_dualstack_endpoint=dual,
                    retries={"total_max_attempts": 1})
    try:
        client = session.client("sts", region_name=region, config=config)
        client.meta.events.register("before-send.sts", answer)
        client.assume_role_with_web_identity(RoleArn="arn:aws:iam::111122223333:role/r", RoleSessionName="session",
                                             WebIdentityToken="to.ke.n")
    except BotoCoreError as error:
        return type(error).__name__
    except Exception:
        pass
    return asked

regions = json.loads(input())
kinds = itertools.product(regions, (False, True), (False, True))
print(json.dumps({f"{region} {fips} {dual}": find(region, fips, dual) for region, fips, dual in kinds}))
"""
"""Prints which URL STS is asked at, for each region, with FIPS and with dual stack."""


def enter(root: Path, image: Image, *command: str) -> list[str]:
    """The command line that runs a program in the image's root folder, as the image's user."""
    user = image.config["config"]["User"]
    return ["env", "-i", *image.config["config"]["Env"], "chroot", f"--userspec={user}", str(root), *command]


def as_pod_image(root: Path, image: Image) -> PodImage:
    """The image for the pods of the demo's node, which binds folders instead of unpacking layers."""
    config = image.config["config"]
    links = {f"/{path.name}": str(path.readlink()) for path in root.iterdir() if path.is_symlink()}
    folders = {f"/{name}": str(root / name) for name in ("app", "etc", "lib64", "usr") if (root / name).is_dir()}
    user, group = map(int, config["User"].split(":"))
    return replace(
        PodImage(binds=folders, symlinks=links, files={}),
        environment=dict(variable.split("=", 1) for variable in config["Env"]),
        arguments=tuple(config["Cmd"]),
        user=user,
        group=group,
    )


@pytest.fixture(scope="module")
def pod_images(demo_node: DemoNode, roots: Mapping[str, Path], built: Mapping[str, Image]) -> dict[str, PodImage]:
    if demo_node.node.single_user:
        pytest.skip("without root a file capability of the image counts for nothing")
    return {**demo_node.images, "podrole-sidecar": as_pod_image(roots["sidecar"], built["sidecar"])}


def test_every_module_of_ours_finds_in_its_image_what_it_imports(
    roots: Mapping[str, Path], image: Image, part: str
) -> None:
    result = subprocess.run(
        enter(roots[part], image, "/usr/bin/python3", "-c", IMPORT_ALL, part, "server"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


def test_every_part_of_the_kubernetes_client_that_the_injector_uses_is_in_its_image(
    roots: Mapping[str, Path], built: Mapping[str, Image]
) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "injector").rglob("*.py"))
    used = sorted(set(re.findall(r"\bclient\.([A-Z]\w+)", sources)))
    look = "import sys; from kubernetes import client; [getattr(client, name) for name in sys.argv[1:]]"

    result = subprocess.run(
        enter(roots["injector"], built["injector"], "/usr/bin/python3", "-c", look, *used),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Configuration" in used
    assert (result.returncode, result.stderr) == (0, "")


def test_the_command_line_is_in_the_injectors_image(roots: Mapping[str, Path], built: Mapping[str, Image]) -> None:
    command = enter(roots["injector"], built["injector"], "/usr/bin/podrole", "--version")

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert contract.VERSION in result.stdout


def test_sts_is_found_in_every_region_as_the_whole_sdk_finds_it(
    roots: Mapping[str, Path], built: Mapping[str, Image]
) -> None:
    session = boto3.session.Session()
    partitions = session.get_available_partitions()
    regions = [region for each in partitions for region in session.get_available_regions("sts", each)]
    asked = json.dumps([*regions, "aws-global", "eu-somewhere-1"])

    whole = json.loads(run(["env", "-i", sys.executable, "-c", ENDPOINTS], asked))
    cut = json.loads(run(enter(roots["sidecar"], built["sidecar"], "/usr/bin/python3", "-c", ENDPOINTS), asked))

    assert len(regions) > 30
    assert "https://sts-fips.us-east-1.amazonaws.com/" in cut["us-east-1 True False"]
    assert cut == whole


def test_a_pod_has_its_role_from_the_built_image_under_a_read_only_root_without_capabilities(
    demo_node: DemoNode, pod_images: dict[str, PodImage]
) -> None:
    patched = demo_node.webhook.admit(POD).pod
    look = (
        "print(*[line.split()[1] for line in open('/proc/1/status') if line.startswith(('Uid', 'CapEff', 'CapBnd'))])"
    )

    with demo_node.create_pod(patched, pod_images) as pod:
        pod.start()
        identity = pod.exec("app", WHO_AM_I).stdout.strip()
        status = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-m", "sidecar.status"])
        held = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-c", look]).stdout.split()
        written = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-c", "open('/app/x', 'w')"]).stderr

    assert identity == IDENTITY
    assert (status.returncode, "serving" in status.stdout) == (0, True)
    assert held == [str(contract.SIDECAR_UID), "0" * 16, "0" * 16]
    assert "Read-only file system" in written


def test_the_built_image_loads_the_rules_through_iptables_too(
    demo_node: DemoNode, pod_images: dict[str, PodImage]
) -> None:
    patched = demo_node.webhook.admit(POD).pod
    redirect = patched["spec"]["initContainers"][0]
    redirect["command"] = ["python3", "-m", "sidecar.redirect", "--listen", str(contract.SIDECAR_PORT)]
    redirect["securityContext"] |= {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
    redirect["securityContext"]["capabilities"] = {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}

    with demo_node.create_pod(patched, pod_images) as pod:
        pod.start()
        identity = pod.exec("app", WHO_AM_I).stdout.strip()

    assert identity == IDENTITY


def run(command: list[str], given: str) -> str:
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout
