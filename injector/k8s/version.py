"""Versions of API servers and kubelets."""

import re

from injector.errors import ObjectError
from injector.k8s.objects import Object

MAX_SHOWN = 100
"""Characters of a text that is not a version."""

Version = tuple[int, int]
"""Major and minor."""


def parse_version(text: str) -> Version | None:
    """The first two numbers of a version such as `v1.31.2-eks-7f9249a` or `1.34+`; None for another text."""
    found = re.match(r"v?(\d{1,9})\.(\d{1,9})(?!\d)", text)
    return (int(found[1]), int(found[2])) if found else None


def format_version(version: Version) -> str:
    """Such as `1.34`."""
    return "{}.{}".format(*version)


def read_version(document: Object) -> Version:
    """The version in the API server's answer to GET /version; a managed cluster's minor can be `34+`."""
    text = f"{document.get('major')}.{document.get('minor')}"
    version = parse_version(text)
    if version is None:
        raise ObjectError(f"{text[:MAX_SHOWN]} is not a Kubernetes version")
    return version
