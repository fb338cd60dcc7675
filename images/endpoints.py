"""Reduces the SDK's endpoint list to one service: each refresh loads the whole file into memory."""

import json
from pathlib import Path
from typing import Any


def cut_endpoints(file: Path, service: str) -> None:
    """Rewrite the file: keep all partitions and regions, but only this service."""
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(select_service(document, service), separators=(",", ":")), encoding="utf-8")


def select_service(document: dict[str, Any], service: str) -> dict[str, Any]:
    """Return the document with only this service in each partition."""
    partitions = [
        {**partition, "services": {name: value for name, value in partition["services"].items() if name == service}}
        for partition in document["partitions"]
    ]
    return {**document, "partitions": partitions}
