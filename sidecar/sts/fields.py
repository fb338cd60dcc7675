"""Checks the fields of STS's credentials. Pure functions. No message quotes a value."""

from collections.abc import Mapping

from sidecar.credentials.credentials import is_printable
from sidecar.credentials.schedule import Failure
from sidecar.sts.timestamps import parse_expiration

MAX_LENGTHS = {"AccessKeyId": 128, "SecretAccessKey": 1024, "SessionToken": 16 * 1024, "Expiration": 64}
"""Field -> characters. All are required. STS's own tokens have up to about 4096: services limit their headers."""


def find_problem(fields: Mapping[str, str]) -> Failure | None:
    """Return a failure that names the fields that are missing, else the first one that is malformed."""
    if missing := [name for name in MAX_LENGTHS if not fields.get(name)]:
        return Failure("IncompleteResponse", f"STS responded without {', '.join(missing)}", is_permanent=False)
    for name, longest in MAX_LENGTHS.items():
        if len(fields[name]) > longest:
            return malformed(name, f"is longer than {longest} characters")
        if not is_printable(fields[name]):
            return malformed(name, "has blanks or other characters than printable ASCII")
    try:
        parse_expiration(fields["Expiration"])
    except ValueError:
        return malformed("Expiration", "is not a time as in RFC 3339")
    return None


def malformed(name: str, problem: str) -> Failure:
    """Return the failure for a field of STS's response."""
    return Failure("InvalidField", f"STS's {name} {problem}", is_permanent=False)
