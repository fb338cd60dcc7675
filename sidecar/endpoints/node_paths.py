"""Which paths of the node's metadata pass-through requests: the operator's patterns, without I/O."""

import re
from collections.abc import Iterable

ANY = "*"
"""One segment of a path, such as the address of a network interface or the key of a tag."""

PREFIX = "/latest/"
"""Patterns are relative to it."""

_SEGMENT = r"[\w.:@+=!-]{1,128}"
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html"""

_NAMES = (
    *("hostname", "instance-id", "instance-type", "local-hostname", "local-ipv4", "mac"),
    *("placement/availability-zone", "placement/availability-zone-id", "placement/group-name", "placement/host-id"),
    *("placement/partition-number", "placement/region", "services/domain", "services/partition"),
)
DEFAULT = ("dynamic/instance-identity/document", *(f"meta-data/{name}" for name in _NAMES))
"""What does not change while an instance runs, and is no secret.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
"""

CONSTANT = frozenset(PREFIX + name for name in DEFAULT)


def list_node_paths(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the absolute patterns of all paths: the operator's, and directories with names that `*` stands for.

    Only the node can list such a directory.
    """
    absolute = [PREFIX + pattern for pattern in patterns]
    parents = (path[: found.start()] for path in absolute for found in re.finditer(r"/\*(?=/|$)", path))
    return tuple(dict.fromkeys((*absolute, *parents)))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return what matches a path in full."""
    segments = (_SEGMENT if segment == ANY else re.escape(segment) for segment in pattern.split("/"))
    return re.compile("/".join(segments), re.ASCII)
