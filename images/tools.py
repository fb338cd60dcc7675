"""The tools that can build a Dockerfile: how to probe each, build with it and save an archive."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import contract

TIME_SECONDS = 315532800
"""1980-01-01, the modification time of all files, so that unchanged layers keep their digest."""

CA_BUNDLE_ID = "ca-bundle"
"""The id of the build secret with the CA bundle for pip."""


@dataclass(frozen=True)
class Tool:
    """The commands of a tool. Arguments are appended to `build`; `save` has $NAME and $ARCHIVE replaced."""

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

NO_TOOL = """\
no image build tool works on this machine. Install docker with buildx, podman or buildah
(Debian: apt-get install --no-install-recommends buildah runc). Tried:"""


class BuildError(Exception):
    """The build failed. The message says why and what to do."""


def find_tool() -> Tool:
    """Return the first tool that works; raise BuildError with the error of each."""
    tried = []
    for name, tool in TOOLS.items():
        if shutil.which(name) is None:
            tried.append(f"  {name}: not installed")
            continue
        result = subprocess.run(tool.probe, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return tool
        errors = result.stderr.strip().splitlines() or ["no error message"]
        tried.append(f"  {name}: {errors[-1]}")
    raise BuildError("\n".join([NO_TOOL, *tried]))


def build(tool: Tool, name: str, repository: Path, arguments: Mapping[str, str], options: Sequence[str] = ()) -> None:
    """Build the Dockerfile of one part. The tool's output goes to standard error."""
    part = name.rpartition("podrole-")[2].partition(":")[0]
    given = [*options, *(f"--build-arg={key}={value}" for key, value in arguments.items()), *_list_secrets()]
    command = [*tool.build, *given, f"--file={repository / f'Dockerfile.{part}'}", f"--tag={name}", str(repository)]
    _run(command)


def save(tool: Tool, name: str, archive: Path) -> None:
    """Save an image to an archive, replacing an existing one."""
    archive.unlink(missing_ok=True)
    _run([word.replace("$NAME", name).replace("$ARCHIVE", str(archive)) for word in tool.save])


def build_name(part: str) -> str:
    """The image's name. IMAGE_PREFIX is the registry and path to push to."""
    return f"{os.environ.get('IMAGE_PREFIX', 'localhost')}/podrole-{part}:{contract.VERSION}"


def _list_secrets() -> Iterator[str]:
    if bundle := os.environ.get("PIP_CERT"):
        yield f"--secret=id={CA_BUNDLE_ID},src={bundle}"


def _run(command: Sequence[str]) -> None:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2) as process:
        code = process.wait()
    if code:
        raise BuildError(f"{' '.join(command[:2])} failed with exit code {code}; see its output above")
