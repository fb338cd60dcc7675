"""The built images run: in a pod behind the real rules, and every module imports in its image."""

import json
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

import contract
from images.archive import Image
from images.ca_directory import CA_DIRECTORY, split_bundle
from testing.demo_node import DemoNode
from testing.pods import Image as PodImage
from testing.raw_server import raw_server
from testing.repository import ROOT
from testing.services.certificates import write_certificates
from tests.integration.images.conftest import load_contents
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
"""Prints the URL of STS for each region, with and without FIPS and dual stack."""


GET = """
import sys
from sidecar.http_client.client import Limits, Request, Route, send
from sidecar.http_client.errors import RequestError
from sidecar.http_client.url import parse_url

try:
    print(send(Request("GET", parse_url(sys.argv[1]), {}), Route(), Limits(5, 5, 100)).body.decode(), end="")
except RequestError as error:
    print(error)
"""
"""Prints the response of a URL, or why there is none."""


def enter(root: Path, image: Image, *command: str) -> list[str]:
    """Build the command that runs a program in the image's root folder as the image's user."""
    user = image.config["config"]["User"]
    return ["env", "-i", *image.config["config"]["Env"], "chroot", f"--userspec={user}", str(root), *command]


def as_pod_image(root: Path, image: Image) -> PodImage:
    """Convert the image for the demo's node, which binds folders instead of unpacking layers."""
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
        pytest.skip("file capabilities of the image have no effect without root")
    return {**demo_node.images, "podrole-sidecar": as_pod_image(roots["sidecar"], built["sidecar"])}


def test_every_module_imports_in_its_image(roots: Mapping[str, Path], image: Image, part: str) -> None:
    result = subprocess.run(
        enter(roots[part], image, "/usr/bin/python3", "-c", IMPORT_ALL, *load_contents(part).code),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


def test_injector_image_has_the_kubernetes_client_classes_it_uses(
    roots: Mapping[str, Path], built: Mapping[str, Image]
) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "injector").rglob("*.py"))
    imports = re.findall(r"^from kubernetes\.client import (.+)$", sources, re.MULTILINE)
    used = sorted({name for line in imports for name in line.split(", ")})
    script = "import sys; from kubernetes import client; [getattr(client, name) for name in sys.argv[1:]]"

    result = subprocess.run(
        enter(roots["injector"], built["injector"], "/usr/bin/python3", "-c", script, *used),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Configuration" in used
    assert (result.returncode, result.stderr) == (0, "")


def test_injector_image_has_the_podrole_command(roots: Mapping[str, Path], built: Mapping[str, Image]) -> None:
    command = enter(roots["injector"], built["injector"], "/usr/bin/podrole", "--version")

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert contract.VERSION in result.stdout


def test_sts_endpoints_match_the_full_sdk_in_every_region(
    roots: Mapping[str, Path], built: Mapping[str, Image]
) -> None:
    session = boto3.session.Session()
    partitions = session.get_available_partitions()
    regions = [region for each in partitions for region in session.get_available_regions("sts", each)]
    regions_json = json.dumps([*regions, "aws-global", "eu-somewhere-1"])

    full = json.loads(run(["env", "-i", sys.executable, "-c", ENDPOINTS], regions_json))
    reduced = json.loads(
        run(enter(roots["sidecar"], built["sidecar"], "/usr/bin/python3", "-c", ENDPOINTS), regions_json)
    )

    assert len(regions) > 30
    assert "https://sts-fips.us-east-1.amazonaws.com/" in reduced["us-east-1 True False"]
    assert reduced == full


def test_sidecar_image_trusts_cas_of_openssls_directory_only(
    roots: Mapping[str, Path], built: Mapping[str, Image], tmp_path: Path
) -> None:
    certificates = write_certificates(tmp_path, ["127.0.0.1"])
    [(name, ca)] = split_bundle(certificates.ca.read_text()).items()
    added = roots["sidecar"] / CA_DIRECTORY.lstrip("/") / name
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ntrusted", tls) as server:
        command = enter(roots["sidecar"], built["sidecar"], "/usr/bin/python3", "-c", GET, server.url("https"))

        refused = run(command, "")
        added.write_text(ca)
        try:
            answer = run(command, "")
        finally:
            added.unlink()

    assert "certificate verify failed" in refused
    assert answer == "trusted"


def test_built_image_serves_role_with_read_only_root_and_no_capabilities(
    demo_node: DemoNode, pod_images: dict[str, PodImage]
) -> None:
    patched = demo_node.webhook.admit(POD).pod
    script = (
        "print(*[line.split()[1] for line in open('/proc/1/status') if line.startswith(('Uid', 'CapEff', 'CapBnd'))])"
    )

    with demo_node.create_pod(patched, pod_images) as pod:
        pod.start()
        identity = pod.exec("app", WHO_AM_I).stdout.strip()
        status = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-m", "sidecar.status"])
        held = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-c", script]).stdout.split()
        written = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-c", "open('/app/x', 'w')"]).stderr

    assert identity == IDENTITY
    assert (status.returncode, "serving" in status.stdout) == (0, True)
    assert held == [str(contract.SIDECAR_UID), "0" * 16, "0" * 16]
    assert "Read-only file system" in written


def test_built_image_loads_the_rules_with_iptables(demo_node: DemoNode, pod_images: dict[str, PodImage]) -> None:
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
