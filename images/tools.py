"""The programs that can build a Dockerfile, as data: how each is tried, builds, and writes an archive."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import contract

TIME_SECONDS = 315532800
"""1980-01-01, the time of all files: only what differs between two versions is pulled again."""

AUTHORITIES = "authorities"
"""The id of the build secret with the certificate authorities that pip shall trust."""


@dataclass(frozen=True)
class Tool:
    """Each command gets its arguments appended, `save` with $NAME and $ARCHIVE filled in."""

    probe: Sequence[str]
    build: Sequence[str]
    save: Sequence[str]


TOOLS: Mapping[str, Tool] = {
    "docker": Tool(
        ["docker", "buildx", "inspect"],
        ["docker", "buildx", "build", "--load", "--provenance=false", f"--build-arg=SOURCE_DATE_EPOCH={TIME_SECONDS}"],
        ["docker", "save", "--output", "$ARCHIVE", "$NAME"],
    ),
    "podman": Tool(
        ["podman", "info"],
        ["podman", "build", "--layers", f"--timestamp={TIME_SECONDS}"],
        ["podman", "save", "--quiet", "--format=docker-archive", "--output", "$ARCHIVE", "$NAME"],
    ),
    "buildah": Tool(
        ["buildah", "info"],
        ["buildah", "build", "--layers", f"--timestamp={TIME_SECONDS}"],
        ["buildah", "push", "--quiet", "$NAME", "docker-archive:$ARCHIVE:$NAME"],
    ),
}

HOW_TO_HAVE_ONE = """\
nothing that builds images works on this machine. Install one of: docker with buildx, podman, buildah
(Debian: apt-get install --no-install-recommends buildah runc). What was tried:"""


class BuildError(Exception):
    """No image was built; the message says why and what to do."""


def find_tool() -> Tool:
    """The first one that works here; raise BuildError with what each of them said."""
    tried = []
    for name, tool in TOOLS.items():
        if shutil.which(name) is None:
            tried.append(f"  {name}: not installed")
            continue
        result = subprocess.run(tool.probe, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return tool
        said = result.stderr.strip().splitlines() or ["no reason given"]
        tried.append(f"  {name}: {said[-1]}")
    raise BuildError("\n".join([HOW_TO_HAVE_ONE, *tried]))


def build(tool: Tool, name: str, repository: Path, arguments: Mapping[str, str], options: Sequence[str] = ()) -> None:
    """Build the Dockerfile of one part; what the tool says goes to this process' standard error."""
    part = name.rpartition("podrole-")[2].partition(":")[0]
    given = [*options, *(f"--build-arg={key}={value}" for key, value in arguments.items()), *_list_secrets()]
    command = [*tool.build, *given, f"--file={repository / f'Dockerfile.{part}'}", f"--tag={name}", str(repository)]
    _run(command)


def save(tool: Tool, name: str, archive: Path) -> None:
    """Write an image into an archive, in place of an older one."""
    archive.unlink(missing_ok=True)
    _run([word.replace("$NAME", name).replace("$ARCHIVE", str(archive)) for word in tool.save])


def build_name(part: str) -> str:
    """An image's name: IMAGE_PREFIX is the registry and path that it will be pushed to."""
    return f"{os.environ.get('IMAGE_PREFIX', 'localhost')}/podrole-{part}:{contract.VERSION}"


def _list_secrets() -> Iterator[str]:
    if bundle := os.environ.get("PIP_CERT"):
        yield f"--secret=id={AUTHORITIES},src={bundle}"


def _run(command: Sequence[str]) -> None:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2) as process:
        code = process.wait()
    if code:
        raise BuildError(f"{' '.join(command[:2])} ended with {code}; what it said stands above")
