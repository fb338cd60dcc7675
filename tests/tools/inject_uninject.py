"""Runs `podrole inject` and `podrole uninject` on every manifest of directories, and counts what comes back.

    python -m tests.tools.inject_uninject DIRECTORY...

Each .yaml, .yml and .json file is injected, injected again, and uninjected, in each mode: `block` (the pods have no
role), `redirect` and `env` (their namespace has a default role). Two things must hold for each file that was injected:
the second injection changes nothing, and uninject prints the file byte for byte. The command refuses files that are not
manifests (templates of Helm, fixtures that are invalid on purpose); their reasons are counted. Prints a line of JSON
for each directory and mode, then each file that differs. The exit code is 1 if one does.

The directories can be checkouts of any project. What they have to do with podrole does not matter.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from click.testing import CliRunner, Result

from injector.errors import ConfigError, ObjectError
from injector.k8s.workloads import PodTemplate, find_templates
from podrole.__main__ import main as podrole
from podrole.exit_codes import EXIT_FINDINGS
from podrole.yaml.documents import SUFFIXES, parse_documents
from testing.cases import ENVIRON

REASONS = (
    ("template text {{ }}", re.compile(rb"\{\{")),
    ("placeholder ${ }", re.compile(rb"\$\{|\$\(")),
)
"""Text of a file that was refused, and what it is instead of a manifest."""

MAX_DIFF_LINES = 30


class Mode(NamedTuple):
    """Settings of a run."""

    name: str
    environ: Mapping[str, str]
    has_role: bool


MODES = (
    Mode("block", {}, has_role=False),
    Mode("redirect", {}, has_role=True),
    Mode("env", {"PODROLE_MODE": "env"}, has_role=True),
)


class FileResult(NamedTuple):
    """What became of one file."""

    counts: Counter[str]
    difference: str = ""


def check_file(path: Path, mode: Mode, namespaces: Path) -> FileResult:
    """Inject, inject again and uninject one file."""
    original = path.read_bytes()
    documents = read_contents(original)
    write_namespaces(namespaces, documents if mode.has_role else [])
    options = ("--manifests", str(namespaces))
    injected = run("inject", original, *options)
    if injected.exit_code not in {0, EXIT_FINDINGS}:
        return FileResult(Counter({"files": 1, "refused": 1, f"refused: {find_reason(injected, original)}": 1}))
    counts = Counter({"files": 1, "documents": len(documents), **count_outcomes(injected.stderr)})
    if injected.exit_code == EXIT_FINDINGS:
        return FileResult(counts + Counter({"denied": 1}))
    if injected.stdout_bytes == original:
        return FileResult(counts + Counter({"untouched": 1}))
    pairs = {
        "idempotent": (injected.stdout_bytes, run("inject", injected.stdout_bytes, *options)),
        "identical": (original, run("uninject", injected.stdout_bytes)),
    }
    counts["injected"] += 1
    return FileResult(
        counts + Counter({name: 1 for name, pair in pairs.items() if is_equal(*pair)}),
        "".join(
            f"{path} ({mode.name}): not {name}\n{show_difference(*pair)}\n"
            for name, pair in pairs.items()
            if not is_equal(*pair)
        ),
    )


def is_equal(expected: bytes, result: Result) -> bool:
    """Whether a command printed this text."""
    return result.exit_code == 0 and result.stdout_bytes == expected


def run(command: str, manifest: bytes, *options: str) -> Result:
    """Run the command in this process, as from a pipe."""
    result = CliRunner().invoke(podrole, [command, "-f", "-", *options], input=manifest)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def read_contents(manifest: bytes) -> list[Any]:
    """The contents of all documents; none of a file that the command refuses."""
    try:
        documents = parse_documents(manifest.decode(), "-")
    except (ConfigError, UnicodeDecodeError):
        return []
    return [document.content for document in documents if document.content is not None]


def write_namespaces(file: Path, documents: Iterable[Any]) -> None:
    """Write each namespace that the documents name, with a default role."""
    names = {"default"}
    for document in documents:
        names |= {template.namespace or "default" for template in find_all_templates(document)}
    labels, annotations = {"podrole.io/injection": "enabled"}, {"podrole.io/default-role": "reader"}
    items = [
        {"kind": "Namespace", "metadata": {"name": name, "labels": labels, "annotations": annotations}}
        for name in sorted(names)
    ]
    file.write_text(json.dumps({"kind": "List", "items": items if documents else []}))


def find_all_templates(document: Any) -> list[PodTemplate]:
    """The pod templates of a document; none of one that the command refuses."""
    try:
        return [*find_templates(document)]
    except ObjectError:
        return []


def count_outcomes(report: str) -> Counter[str]:
    """Count the outcomes of pod templates in a report."""
    found = re.findall(r"^  (Inject|Block|Skip|Deny)\b", report, re.MULTILINE)
    return Counter(f"templates: {outcome}" for outcome in found)


def find_reason(result: Result, original: bytes) -> str:
    """The kind of text that the file has, or the command's message without places and names."""
    for reason, pattern in REASONS:
        if pattern.search(original):
            return reason
    message = result.stderr.strip().splitlines()[-1].removeprefix("Error: ")
    message = re.sub(r"^-(, document \d+)?( \(line \d+, column \d+\))?:? |(?<=the key ).*(?= appears)", "", message)
    return re.sub(r"^[A-Z]\w+ \S+ has", "a workload has", message)


def show_difference(expected: bytes, result: Result) -> str:
    """The first lines of a difference, or the message of a command that failed."""
    if result.exit_code:
        return result.stderr.strip()
    before, after = (text.decode().splitlines(keepends=True) for text in (expected, result.stdout_bytes))
    lines = [repr(line)[1:-1] for line in unified_diff(before, after, n=1)]
    return "\n".join(lines[:MAX_DIFF_LINES])


def find_files(directory: Path) -> list[Path]:
    """All files that kubectl would read, in order."""
    return sorted(path for path in directory.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def main(arguments: Sequence[str]) -> int:
    """Check all directories; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    differences: list[str] = []
    with TemporaryDirectory() as scratch:
        for directory in parser.parse_args(arguments).directories:
            for mode in MODES:
                differences += check_directory(directory, mode, Path(scratch) / "namespaces.json")
    print("".join(differences))
    return 1 if differences else 0


def check_directory(directory: Path, mode: Mode, namespaces: Path) -> list[str]:
    """Print the counts of a directory in one mode; return the differences."""
    os.environ.update(ENVIRON)
    os.environ["PODROLE_MODE"] = ""
    os.environ.update(mode.environ)
    results = [check_file(path, mode, namespaces) for path in find_files(directory)]
    counts: Counter[str] = sum((result.counts for result in results), Counter())
    print(json.dumps({"directory": directory.name, "mode": mode.name, **dict(sorted(counts.items()))}), flush=True)
    return [result.difference for result in results if result.difference]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
