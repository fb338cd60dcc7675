"""A role's credentials: one frozen value, and how the metadata and container endpoints write it down."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidecar.config import account_of

SERVABLE_SECONDS = 60
"""With less life left than this a document is no longer handed out: an SDK would fail with it at its next call."""


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
    """Seconds since the epoch, rounded down."""

    def is_servable(self, now: float) -> bool:
        """Whether a client still has time to use them."""
        return self.expires_at - now > SERVABLE_SECONDS

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


def build_metadata_document(fields: dict[str, str]) -> str:
    """Lay out a document as EC2's metadata service does: one field a line, a space on both sides of the colon."""
    return json.dumps(fields, indent=2, separators=(",", " : "))


def format_time(seconds: float) -> str:
    """Whole seconds, rounded down, and a literal Z: boto 2 and the JavaScript SDK read nothing else."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
