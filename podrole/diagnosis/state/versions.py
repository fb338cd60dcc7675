"""The API server's version."""

from injector.k8s.objects import Object
from injector.k8s.version import Version, parse_version


def read_server_version(document: Object) -> Version | None:
    """Read the API server's version from the document at /version."""
    return parse_version(str(document.get("gitVersion", "")))
