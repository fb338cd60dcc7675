"""The contents of the built images."""

import json
import re
from pathlib import Path

import pytest
import yaml

import contract
from images.archive import Image
from images.build import MEBI
from images.ca_directory import CA_DIRECTORY, split_bundle
from images.sbom import SBOM_PATH
from testing.repository import ROOT
from tests.integration.images.conftest import load_contents
from tests.integration.images.listing import load_listing, summarize

CAS = f"{CA_DIRECTORY}/"
NFT = "/usr/sbin/nft"
CAP_NET_ADMIN_EP = bytes.fromhex("01000002 00100000 00000000 00000000 00000000")
"""Revision 2 with the effective flag, bit 12: https://man7.org/linux/man-pages/man7/capabilities.7.html."""

XATTR = "SCHILY.xattr.security.capability"
UNCHECKED_HASH = 1
USERS = {"injector": "16927:16927", "sidecar": f"{contract.SIDECAR_UID}:{contract.SIDECAR_UID}"}
PROGRAMS = {
    "injector": {"/usr/bin/podrole", "/usr/bin/python3.13"},
    "sidecar": {"/usr/bin/python3.13", NFT, "/usr/sbin/xtables-nft-multi"},
}
LIMITS = {"injector": (90, 30), "sidecar": (34, 12)}
"""MiB uncompressed, and as pulled."""


def test_image_contains_exactly_the_accepted_files(image: Image, part: str) -> None:
    accepted = load_listing(part)

    found = summarize(image)

    assert found.keys() - accepted.keys() == set(), (
        "new files: review them, then accept them as tests/integration/images/listing.py describes"
    )
    assert accepted.keys() - found.keys() == set(), "missing files: check that nothing needs them"
    grown = {name: size for name, size in found.items() if size > accepted[name] * 1.25 + 64}
    assert grown == {}


def test_image_size_is_within_its_limit(image: Image, part: str) -> None:
    files, pulled = LIMITS[part]

    assert sum(layer.size_bytes for layer in image.layers) / MEBI < files
    assert sum(layer.pulled_bytes for layer in image.layers) / MEBI < pulled


def test_image_has_only_known_programs_and_only_nft_has_a_capability(image: Image, part: str) -> None:
    files = {path: entry for path, entry in image.entries.items() if entry.isfile()}

    programs = {path for path, entry in files.items() if entry.mode & 0o111 and re.match(r"/usr/s?bin/", path)}
    privileged = {path: entry for path, entry in files.items() if entry.mode & 0o7000 or XATTR in entry.pax_headers}

    assert programs == PROGRAMS[part]
    assert set(privileged) == ({NFT} if part == "sidecar" else set())
    if privileged:
        given = privileged[NFT].pax_headers[XATTR].encode("utf-8", "surrogateescape")
        assert given == CAP_NET_ADMIN_EP


def test_all_files_are_owned_by_root_and_writable_only_by_root(image: Image) -> None:
    wrong = [
        path
        for path, entry in image.entries.items()
        if (entry.uid, entry.gid) != (0, 0) or (entry.mode & 0o022 and not entry.issym())
    ]

    assert wrong == []


def test_every_module_is_compiled_to_unchecked_bytecode(image: Image) -> None:
    sources = {path for path in image.entries if path.endswith(".py")}
    compiled = {path for path in image.entries if path.endswith(".pyc")}

    assert {path.rpartition("/")[2] for path in compiled if image.read(path)[4] != UNCHECKED_HASH} == set()
    assert all(path.startswith("/app/") for path in sources)
    assert {re.sub(r"/(\w+)\.py$", r"/__pycache__/\1.cpython-313.pyc", path) for path in sources} <= compiled


def test_image_config_has_user_command_and_labels(image: Image, part: str) -> None:
    config = image.config["config"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}

    assert config["User"] == USERS[part]
    assert config["Cmd"] == ["python3", "-m", part]
    assert labels["title"] == f"podrole-{part}"
    assert labels["version"] == contract.VERSION
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])


def test_sidecar_image_has_the_paths_of_template_and_contract(built: dict[str, Image]) -> None:
    image = built["sidecar"]
    template = yaml.safe_load((ROOT / "injector/patch/template.yaml").read_text())
    commands = [kind["command"] for part in ("redirect", "block") for kind in template[part].values()]
    hook = template["sidecar"]["lifecycle"]["postStart"]["exec"]["command"]

    named = {word for command in (*commands, hook) for word in command if word.startswith("/")}
    programs = {command[0] for command in (*commands, template["sidecar"]["command"], hook)}

    expected = {contract.REDIRECT_RULES, contract.BLOCK_RULES, contract.POST_START_SCRIPT}
    assert expected <= named | {contract.REDIRECT_RULES}
    assert named <= image.entries.keys()
    assert all({f"/usr/bin/{name}", f"/usr/sbin/{name}"} & image.entries.keys() for name in programs)


@pytest.mark.parametrize("rules", sorted((ROOT / "sidecar/redirect").glob("*.nft")), ids=lambda rules: rules.name)
def test_rule_files_are_in_etc_podrole(built: dict[str, Image], rules: Path) -> None:
    assert built["sidecar"].read(f"/etc/podrole/{rules.name}") == rules.read_bytes()


def test_every_ca_of_the_bundle_is_in_a_file_that_openssl_looks_up(image: Image, part: str) -> None:
    [bundle] = [path for path in image.entries if path.endswith(f"/dist-packages/{load_contents(part).ca_bundle}")]

    found = {path.rpartition("/")[2]: image.read(path).decode() for path in image.entries if path.startswith(CAS)}

    assert found == split_bundle(image.read(bundle).decode())
    assert len(found) > 100
    assert all(re.fullmatch(r"[0-9a-f]{8}\.\d", name) for name in found)
    assert "/usr/lib/ssl/cert.pem" not in image.entries


def test_sbom_lists_every_installed_package(image: Image, part: str) -> None:
    sbom = json.loads(image.read(SBOM_PATH))
    debian = {path.rpartition("/")[2] for path in image.entries if path.startswith("/var/lib/dpkg/status.d/")}
    metadata = [path for path in image.entries if path.endswith(".dist-info/METADATA")]

    components = {component["purl"]: component for component in sbom["components"]}
    names: dict[str, set[str]] = {"deb": set(), "pypi": set()}
    for purl, each in components.items():
        names[purl.partition("/")[0].removeprefix("pkg:")].add(each["name"])

    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert sbom["metadata"]["component"]["name"] == f"podrole-{part}"
    assert sbom["metadata"]["component"]["version"] == contract.VERSION
    assert names["deb"] == {name for name in debian if name}
    assert {"libc6", "libssl3t64", "python3.13-minimal"} <= names["deb"]
    assert len(names["pypi"]) == len(metadata)
    assert all(each["version"] and each["bom-ref"] == purl for purl, each in components.items())
