"""The Status objects with which an API server reports failures."""

from typing import Any


def build_status(code: int, reason: str, message: str = "no", **details: str) -> dict[str, Any]:
    """A failure; the details are the `name`, `group` and `kind` of the object that it is about."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def build_absence(resource: str, name: str, group: str = "") -> tuple[int, dict[str, Any]]:
    """HTTP status and body of the answer where an object does not exist, as API server 1.34 sends it."""
    details = {"name": name, **({"group": group} if group else {}), "kind": resource}
    qualified = ".".join(filter(None, (resource, group)))
    return 404, build_status(404, "NotFound", f'{qualified} "{name}" not found', **details)
