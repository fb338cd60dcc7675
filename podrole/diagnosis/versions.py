"""Versions of API servers and kubelets."""

import re

from injector.decision.context import Version
from podrole.diagnosis.snapshot import Snapshot


def parse_version(text: str) -> Version | None:
    """Major and minor of what Kubernetes calls its gitVersion, such as v1.31.2-eks-7f9249a; None for another text."""
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def read_server_version(snapshot: Snapshot) -> Version | None:
    """The API server's version, as /version told it."""
    return parse_version(str((snapshot.one("version") or {}).get("gitVersion", "")))


def format_version(version: Version) -> str:
    """As people write it."""
    return "{}.{}".format(*version)
