"""A role's credentials as an immutable value, and the two documents in which the endpoints return them."""

import json
import re
from typing import Any, NamedTuple, Self

from contract.outside_aws import account_of
from sidecar.time_format import format_time

AWS_ACCOUNT = re.compile(r"\d{12}", re.ASCII)

EXPIRY_MARGIN_SECONDS = 60
"""Credentials are withdrawn this long before they expire: an SDK would fail with them at its next call."""

CLOCK_TOLERANCE_SECONDS = 30
"""Network delay and the Date header's whole seconds. Credentials are withdrawn a minute early in any case."""

MIN_TIMESTAMP, MAX_TIMESTAMP = -30_610_224_000, 253_402_300_799
"""The years 1000 to 9999. RFC 3339 has four digits, and the C library pads none."""

ADDED_FIELDS = {"ignores_expiration": False, "ignores_date": False}
"""An earlier version did not save them. The sidecar of a running pod can be replaced by a later version."""


class Credentials(NamedTuple):
    """Credentials from STS. Only the access key id and the timestamps may be logged; repr hides the rest."""

    role_arn: str
    access_key_id: str
    secret_access_key: str
    session_token: str
    obtained_at: int
    """Seconds since the epoch."""

    expires_at: int
    """Seconds since the epoch by STS's clock, rounded down: the Expiration that clients get."""

    clock_ahead_seconds: int = 0
    """How far this machine's clock is ahead of STS's; negative if it is behind."""

    ignores_expiration: bool = False
    """Whether STS's Expiration was too late for the requested duration."""

    ignores_date: bool = False
    """Whether STS's header Date did not count."""

    def __repr__(self) -> str:
        return (
            f"Credentials({self.role_arn}, {self.access_key_id}, obtained_at={self.obtained_at}, "
            f"expires_at={self.expires_at}, clock_ahead_seconds={self.clock_ahead_seconds})"
        )

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        """Check every field; raise ValueError, which quotes no value, if one is missing, invalid or unknown.

        The fields of ADDED_FIELDS may be missing.
        """
        types = cls.__annotations__
        document = ADDED_FIELDS | document
        for name in types.keys() | document.keys():
            # Not isinstance: bool is a subclass of int. Every field is annotated with a plain str, int or bool.
            if type(document.get(name)) is not types.get(name) or not _is_valid(document[name]):
                raise ValueError(f"{name} is missing, unknown or has another type")
        return cls(**document)

    @property
    def ends_at(self) -> int:
        """When they expire, by this machine's clock."""
        return self.expires_at + self.clock_ahead_seconds

    @property
    def ignored_times(self) -> list[str]:
        """The times of STS's answer that did not count."""
        names = {"Expiration": self.ignores_expiration, "Date": self.ignores_date}
        return [name for name, is_ignored in names.items() if is_ignored]

    def is_servable(self, now: float) -> bool:
        """Whether a client has enough time left to use them."""
        return self.ends_at - now > EXPIRY_MARGIN_SECONDS

    def shift_clock(self, jump_seconds: float) -> Self:
        """Return the same credentials after this machine's clock was set: the remaining lifetime stays the same."""
        jump = round(jump_seconds)
        return self._replace(obtained_at=self.obtained_at + jump, clock_ahead_seconds=self.clock_ahead_seconds + jump)

    def obtained_by(self, now: float) -> Self:
        """Return the same credentials, but not obtained later than now: then the clock has been set back since."""
        return self.shift_clock(min(0.0, now - self.obtained_at))

    def limit(self, longest_seconds: int) -> Self:
        """Return the same credentials with at most this lifetime."""
        excess = self.ends_at - self.obtained_at - longest_seconds
        if excess <= CLOCK_TOLERANCE_SECONDS:
            return self
        return self._replace(expires_at=self.expires_at - excess, ignores_expiration=True)

    def to_metadata_document(self) -> str:
        """Format EC2's document. Scripts cut it by line, so the order and the `"Key" : "Value",` layout matter."""
        return build_metadata_document(
            {
                "Code": "Success",
                "LastUpdated": format_time(self.obtained_at),
                "Type": "AWS-HMAC",
                "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret_access_key,
                "Token": self.session_token,
                "Expiration": format_time(self.expires_at),
            }
        )

    def to_container_document(self) -> str:
        """Format ECS's document; s3fs-fuse reads RoleArn, newer SDKs read AccountId."""
        account = account_of(self.role_arn)
        return json.dumps(
            {
                "RoleArn": self.role_arn,
                "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret_access_key,
                "Token": self.session_token,
                "Expiration": format_time(self.expires_at),
                # Outside AWS there can be none: SDKs make it a part of host names.
                **({"AccountId": account} if AWS_ACCOUNT.fullmatch(account) else {}),
            }
        )


def _is_valid(value: str | int) -> bool:
    return is_printable(value) if isinstance(value, str) else MIN_TIMESTAMP <= value <= MAX_TIMESTAMP


def is_printable(value: str) -> bool:
    """Whether it is ASCII without blanks, and not empty: what a header of a signed request can carry."""
    return value != "" and value.isascii() and value.isprintable() and " " not in value


def build_metadata_document(fields: dict[str, str]) -> str:
    """Format a document as EC2's metadata service does: one field per line, a space on both sides of the colon."""
    return json.dumps(fields, indent=2, separators=(",", " : "))
