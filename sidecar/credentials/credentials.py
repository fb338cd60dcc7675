"""A role's credentials: one frozen value, and how the metadata and container endpoints write it down."""

import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from sidecar.config import account_of
from sidecar.time_format import format_time

SERVABLE_SECONDS = 60
"""With less life left than this a document is no longer handed out: an SDK would fail with it at its next call."""

TIME_LATEST = 2**33
"""The year 2242: what lies behind it is no time that STS would give."""


@dataclass(frozen=True)
class Credentials:
    """What STS answered. Nothing of it but the key's id and the times may reach a log: the rest hides from repr."""

    role_arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    obtained_at: int
    """Seconds since the epoch."""

    expires_at: int
    """Seconds since the epoch, rounded down, by STS's clock: what clients are told."""

    clock_ahead_seconds: int = 0
    """How far this machine's clock is ahead of STS's: with a clock that is wrong they live no shorter and no longer."""

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        """Check every field; raise ValueError, which quotes no value, for one that is missing, odd or unknown."""
        known = {one.name: one for one in fields(cls)}
        for name in known.keys() | document.keys():
            # Not isinstance: True is a number to it. Every field is annotated with a plain str or int.
            if name not in known or type(document.get(name)) is not known[name].type or not _is_sane(document[name]):
                raise ValueError(f"{name} is missing, unknown or of another type")
        return cls(**document)

    @property
    def ends_at(self) -> int:
        """When they end, by the clock of this machine."""
        return self.expires_at + self.clock_ahead_seconds

    def is_servable(self, now: float) -> bool:
        """Whether a client still has time to use them."""
        return self.ends_at - now > SERVABLE_SECONDS

    def shift_clock(self, step_seconds: float) -> Self:
        """The same credentials after the clock of this machine was set: what is left of their life stays the same."""
        step = round(step_seconds)
        return replace(self, obtained_at=self.obtained_at + step, clock_ahead_seconds=self.clock_ahead_seconds + step)

    def to_metadata_document(self) -> str:
        """EC2's layout, one `"Key" : "Value",` to a line and in its order: ten years of scripts cut it up by line."""
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
        """ECS's document; RoleArn is read by s3fs-fuse, AccountId by the newer SDKs."""
        return json.dumps(
            {
                "RoleArn": self.role_arn,
                "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret_access_key,
                "Token": self.session_token,
                "Expiration": format_time(self.expires_at),
                "AccountId": account_of(self.role_arn),
            }
        )


def _is_sane(value: str | int) -> bool:
    return bool(value) if isinstance(value, str) else abs(value) < TIME_LATEST


def build_metadata_document(fields: dict[str, str]) -> str:
    """Lay out a document as EC2's metadata service does: one field a line, a space on both sides of the colon."""
    return json.dumps(fields, indent=2, separators=(",", " : "))
