"""Cuts the SDK's list of endpoints to one service: a refresh reads all that is left of it into memory."""

import json
from pathlib import Path
from typing import Any


def cut_endpoints(file: Path, service: str) -> None:
    """Rewrite the file with all partitions and regions, and of their services only this one."""
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(select_service(document, service), separators=(",", ":")), encoding="utf-8")


def select_service(document: dict[str, Any], service: str) -> dict[str, Any]:
    """The same document with one service in each partition that has it."""
    partitions = [
        {**partition, "services": {name: value for name, value in partition["services"].items() if name == service}}
        for partition in document["partitions"]
    ]
    return {**document, "partitions": partitions}
