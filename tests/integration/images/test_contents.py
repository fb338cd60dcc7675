"""What is in the built images, and what is not."""

import json
import re
from pathlib import Path

import pytest
import yaml

import contract
from images.archive import Image
from images.build import MEBI
from images.sbom import SBOM_PATH
from testing.repository import ROOT
from tests.integration.images.listing import load_listing, summarize

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
LIMITS = {"injector": (90, 30), "sidecar": (42, 15)}
"""MiB of files, and as they are pulled."""


def test_nothing_is_in_it_that_nobody_has_accepted(image: Image, part: str) -> None:
    accepted = load_listing(part)

    found = summarize(image)

    assert found.keys() - accepted.keys() == set(), (
        "new: look at it, then accept it as tests/integration/images/listing.py says"
    )
    assert accepted.keys() - found.keys() == set(), "gone: is it not needed, or does something break without it?"
    grown = {name: size for name, size in found.items() if size > accepted[name] * 1.25 + 64}
    assert grown == {}


def test_it_stays_within_its_budget(image: Image, part: str) -> None:
    files, pulled = LIMITS[part]

    assert sum(layer.size_bytes for layer in image.layers) / MEBI < files
    assert sum(layer.pulled_bytes for layer in image.layers) / MEBI < pulled


def test_only_known_programs_can_be_run_and_none_gains_rights_but_nft(image: Image, part: str) -> None:
    files = {path: entry for path, entry in image.entries.items() if entry.isfile()}

    programs = {path for path, entry in files.items() if entry.mode & 0o111 and re.match(r"/usr/s?bin/", path)}
    gaining = {path: entry for path, entry in files.items() if entry.mode & 0o7000 or XATTR in entry.pax_headers}

    assert programs == PROGRAMS[part]
    assert set(gaining) == ({NFT} if part == "sidecar" else set())
    if gaining:
        given = gaining[NFT].pax_headers[XATTR].encode("utf-8", "surrogateescape")
        assert given == CAP_NET_ADMIN_EP


def test_everything_is_roots_and_nobody_else_may_write(image: Image) -> None:
    wrong = [
        path
        for path, entry in image.entries.items()
        if (entry.uid, entry.gid) != (0, 0) or (entry.mode & 0o022 and not entry.issym())
    ]

    assert wrong == []


def test_every_module_is_bytecode_that_is_never_compared_with_a_source(image: Image) -> None:
    sources = {path for path in image.entries if path.endswith(".py")}
    compiled = {path for path in image.entries if path.endswith(".pyc")}

    assert {path.rpartition("/")[2] for path in compiled if image.read(path)[4] != UNCHECKED_HASH} == set()
    assert all(path.startswith("/app/") for path in sources)
    assert {re.sub(r"/(\w+)\.py$", r"/__pycache__/\1.cpython-313.pyc", path) for path in sources} <= compiled


def test_its_configuration_says_who_runs_and_what_it_is(image: Image, part: str) -> None:
    config = image.config["config"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}

    assert config["User"] == USERS[part]
    assert config["Cmd"] == ["python3", "-m", f"{part}.main"]
    assert labels["title"] == f"podrole-{part}"
    assert labels["version"] == contract.VERSION
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])


def test_the_sidecars_image_has_what_the_template_and_the_contract_name(built: dict[str, Image]) -> None:
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
def test_the_rules_are_where_the_redirect_looks_for_them(built: dict[str, Image], rules: Path) -> None:
    assert built["sidecar"].read(f"/etc/podrole/{rules.name}") == rules.read_bytes()


def test_the_bill_of_materials_names_each_package_that_is_in_it(image: Image, part: str) -> None:
    bill = json.loads(image.read(SBOM_PATH))
    debian = {path.rpartition("/")[2] for path in image.entries if path.startswith("/var/lib/dpkg/status.d/")}
    metadata = [path for path in image.entries if path.endswith(".dist-info/METADATA")]

    components = {component["purl"]: component for component in bill["components"]}
    names: dict[str, set[str]] = {"deb": set(), "pypi": set()}
    for purl, each in components.items():
        names[purl.partition("/")[0].removeprefix("pkg:")].add(each["name"])

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == f"podrole-{part}"
    assert bill["metadata"]["component"]["version"] == contract.VERSION
    assert names["deb"] == {name for name in debian if name}
    assert {"libc6", "libssl3t64", "python3.13-minimal"} <= names["deb"]
    assert len(names["pypi"]) == len(metadata)
    assert all(each["version"] and each["bom-ref"] == purl for purl, each in components.items())
