"""The API server's version in a snapshot."""

from injector.k8s.version import Version, parse_version
from podrole.diagnosis.snapshot import Snapshot


def read_server_version(snapshot: Snapshot) -> Version | None:
    """The API server's version, as /version told it."""
    return parse_version(str((snapshot.one("version") or {}).get("gitVersion", "")))
