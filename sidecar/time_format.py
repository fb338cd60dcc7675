"""How the sidecar writes times: RFC 3339, as AWS does."""

from datetime import UTC, datetime


def format_time(seconds: float) -> str:
    """Whole seconds, rounded down, and a literal Z: boto 2 and the JavaScript SDK read nothing else."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
