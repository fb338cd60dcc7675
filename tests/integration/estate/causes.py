"""Whether a podrole command names the cause of a failure."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from click.testing import Result

from testing.estate import WRONG
from testing.estate.failures import Failure

RunPodrole = Callable[[str], Result]
"""Runs a podrole command line."""


def list_findings(document: Any) -> Iterator[dict[str, Any]]:
    """All findings of a JSON output, wherever they are."""
    if isinstance(document, dict):
        if {"level", "code", "text"} <= document.keys():
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from list_findings(each)


def names_cause(run: RunPodrole, failure: Failure) -> bool:
    """Whether the last command has a finding with the failure's code and words. A denial has its code in brackets."""
    command = failure.list_lines(failure.command)[-1]
    output = run(f"{command} --output json").stdout or "{}"  # nothing: the target does not exist
    found = [each for each in list_findings(json.loads(output)) if each["level"] != "ok"]
    return any(
        failure.says in each["text"] and (each["code"] == failure.code or f"[{failure.code}]" in each["text"])
        for each in found
    )


def is_mistake(failure: Failure) -> bool:
    """Whether the estate was committed with it."""
    namespace, kind, name = failure.target.split("/")
    names = {f"{kind}/{name}", f"namespace/{namespace}"}
    return any(wrong.namespace == namespace and wrong.name.lower() in names for wrong in WRONG.values())
