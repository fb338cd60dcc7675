"""Stateless IMDSv2 session tokens: an expiry and its HMAC.

No token is stored, so any number of them costs no memory, and they survive a restart of the container as the key does.
All times are of `server.clocks.read_boottime`: nobody sets that clock, and a restart of the node ends the key, too.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html
"""

import base64

MAX_TTL_SECONDS = 21600
_EXPIRY_BYTES = 8


def parse_ttl(value: str | None) -> int | None:
    """Return the TTL header's seconds; None if it is missing, not a number, or not between 1 and 21600."""
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > len(str(MAX_TTL_SECONDS)):
        return None
    seconds = int(value)
    return seconds if 1 <= seconds <= MAX_TTL_SECONDS else None


def build_token(key: bytes, ttl_seconds: int, now: float) -> str:
    """Build a token of 56 characters that are valid in a header."""
    expiry = (int(now) + ttl_seconds).to_bytes(_EXPIRY_BYTES)
    return base64.urlsafe_b64encode(expiry + _sign(key, expiry)).decode()


def is_valid(key: bytes, token: str, now: float) -> bool:
    """Whether the token was signed with this key and has not expired."""
    return read_seconds_left(key, token, now) > 0


def read_seconds_left(key: bytes, token: str, now: float) -> float:
    """Return for how long a token is valid; 0 if it is not. The signature is compared in constant time."""
    import hmac  # noqa: PLC0415 - as in _sign

    try:
        decoded = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:  # not base64; UnicodeEncodeError is a subclass
        return 0
    expiry, signature = decoded[:_EXPIRY_BYTES], decoded[_EXPIRY_BYTES:]
    left = int.from_bytes(expiry) - now
    is_valid_now = hmac.compare_digest(signature, _sign(key, expiry)) and 0 < left <= MAX_TTL_SECONDS
    return left if is_valid_now else 0


def _sign(key: bytes, expiry: bytes) -> bytes:
    import hmac  # noqa: PLC0415 - loads OpenSSL's library, 0.5 MiB: only with the first client that uses IMDSv2

    return hmac.digest(key, expiry, "sha256")
