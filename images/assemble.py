"""Runs during an image's build, on the base image: collects the image's files, one folder per layer.

`python3 -m images.assemble images/sidecar.toml PACKAGES OUT`, in the repository; PACKAGES holds the installed packages.
"""

import json
import platform
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import contract
from images.bytecode import compile_beside_sources, compile_instead_of_sources
from images.ca_directory import CA_DIRECTORY, split_bundle
from images.contents import Contents
from images.endpoints import cut_endpoints
from images.sbom import SBOM_PATH, build_sbom, find_owners, load_metadata, parse_stanza
from images.tools import TIME_SECONDS
from images.tree import Tree, is_elf

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = f"/usr/lib/{PYTHON}"
PACKAGES = f"/usr/local/lib/{PYTHON}/dist-packages"

MERGED = {"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib"}

UNUSED_IN_PACKAGES = ("bin", "*.dist-info/[!ML]*", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h")
"""In installed packages: programs, installation records except metadata and licences, and C sources."""


def main(arguments: list[str]) -> None:
    """Fill OUT/system, OUT/packages and OUT/app."""
    description, installed, out = map(Path, arguments)
    contents = Contents.from_document(tomllib.loads(description.read_text(encoding="utf-8")))
    system, packages, app = (Tree(out / layer) for layer in ("system", "packages", "app"))
    add_packages(packages, installed, contents)
    add_system(system, contents)
    add_cas(packages, contents)
    add_libraries(system, [system, packages])
    add_code(app, contents)
    add_sbom(app, system, packages, contents)
    for tree in (system, packages, app):
        tree.set_times(TIME_SECONDS)
    for name, capability in contents.capabilities.items():
        subprocess.run(["setcap", capability, system.at(name)], check=True)


def add_packages(tree: Tree, installed: Path, contents: Contents) -> None:
    """Add the Python packages as bytecode."""
    excluded = [*contents.excluded_packages, *UNUSED_IN_PACKAGES]
    tree.copy_folder(installed, PACKAGES, excluded, contents.included)
    if not tree.at(f"{PACKAGES}/{contents.ca_bundle}").is_file():
        raise FileNotFoundError(f"{contents.ca_bundle} is not in the installed packages: TLS would trust no server")
    for endpoints in tree.at(PACKAGES).glob("botocore/data/endpoints.json"):
        cut_endpoints(endpoints, "sts")
    compile_instead_of_sources(tree.root, PACKAGES, contents.optimize)
    for pattern in contents.stripped:
        for found in sorted(tree.at(PACKAGES).glob(pattern)):
            subprocess.run(["strip", "--strip-unneeded", found], check=True)


def add_cas(tree: Tree, contents: Contents) -> None:
    """Add the CAs that OpenSSL trusts by default: those of the bundle, each in a file of its own."""
    bundle = tree.at(f"{PACKAGES}/{contents.ca_bundle}").read_text(encoding="utf-8")
    for name, certificate in split_bundle(bundle).items():
        tree.write(f"{CA_DIRECTORY}/{name}", certificate)


def add_system(tree: Tree, contents: Contents) -> None:
    """Add the interpreter and its library, the programs, and the files that the C library reads."""
    for link, target in MERGED.items():
        tree.link(link, target)
    tree.copy(f"/usr/bin/{PYTHON}")
    tree.link("/usr/bin/python3", PYTHON)
    tree.copy_folder(Path(LIBRARY), LIBRARY, contents.excluded_library)
    compile_instead_of_sources(tree.root, LIBRARY, contents.optimize)
    for program, names in contents.programs.items():
        tree.copy(program)
        for name in set(names) - {program}:
            tree.link(name, program)
    libraries = Path("/usr/lib") / sysconfig.get_config_var("MULTIARCH")
    for extension in contents.extensions:
        tree.copy(str(libraries / extension))
    users = {"root": 0, **contents.users}
    tree.write("/etc/passwd", "".join(f"{name}:x:{uid}:{uid}::/:/nonexistent\n" for name, uid in users.items()))
    tree.write("/etc/group", "".join(f"{name}:x:{gid}:\n" for name, gid in users.items()))
    tree.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    tree.copy("/etc/os-release")


def add_libraries(system: Tree, trees: list[Tree]) -> None:
    """Add the shared libraries that files in these trees need."""
    for tree in trees:
        system.copy_libraries([found for found in sorted(tree.root.rglob("*")) if is_elf(found)])


def add_code(tree: Tree, contents: Contents) -> None:
    """Add podrole's packages, the redirect's rules in /etc/podrole, and the commands."""
    for package in contents.code:
        excluded = [
            str(file.relative_to(package)) for file in map(Path, contents.excluded_code) if file.is_relative_to(package)
        ]
        tree.copy_folder(Path(package), f"/app/{package}", excluded)
        for rules in sorted(Path(package).glob("redirect/*.nft")):
            tree.write(f"/etc/podrole/{rules.name}", rules.read_text(encoding="utf-8"))
    compile_beside_sources(tree.root, "/app")
    for name, entry in contents.commands.items():
        module, function = entry.split(":")
        script = f"#!/usr/bin/python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
        tree.write(f"/usr/bin/{name}", script, 0o755)


def add_sbom(tree: Tree, system: Tree, packages: Tree, contents: Contents) -> None:
    """Add the SBOM, and per Debian package its licence and the dpkg status that vulnerability scanners read."""
    owners = find_owners(system.copied)
    for name, paragraph in owners.items():
        system.copy(f"/usr/share/doc/{name}/copyright")
        system.write(f"/var/lib/dpkg/status.d/{name}", f"{paragraph}\n")
    product = {"Name": contents.name, "Version": contract.VERSION}
    python = load_metadata(packages.at(PACKAGES))
    sbom = build_sbom(product, map(parse_stanza, owners.values()), python)
    tree.write(SBOM_PATH, json.dumps(sbom, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    if platform.python_implementation() != "CPython":
        sys.exit("bytecode is compiled for CPython: run this with the interpreter that goes into the image")
    main(sys.argv[1:])
