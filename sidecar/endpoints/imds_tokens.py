"""Stateless session tokens of the metadata service's second version. No token is ever stored.

A token is its expiry and an HMAC of it, so that any number of them costs nothing and all outlive a restart
for as long as the key does. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html
"""

import base64
import hmac
from hashlib import sha256

TTL_LONGEST_SECONDS = 21600
_EXPIRY_BYTES = 8


def parse_ttl(value: str | None) -> int | None:
    """Seconds asked for in the TTL header, or None if the header is absent, not a number, or not 1 to 21600."""
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > len(str(TTL_LONGEST_SECONDS)):
        return None
    seconds = int(value)
    return seconds if 1 <= seconds <= TTL_LONGEST_SECONDS else None


def build_token(key: bytes, ttl_seconds: int, now: float) -> str:
    """56 characters that are legal in a header, without a newline."""
    expiry = (int(now) + ttl_seconds).to_bytes(_EXPIRY_BYTES)
    return base64.urlsafe_b64encode(expiry + _sign(key, expiry)).decode()


def is_valid(key: bytes, token: str, now: float) -> bool:
    """Whether this key made the token and its time is not over. Takes as long for a near miss as for a far one.

    A clock that is set forward ends tokens early: clients ask for another. One that is set back lengthens them, but
    never by more than their longest life: a token made while the clock stood years ahead must not live for years.
    """
    try:
        decoded = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:  # not base64; UnicodeEncodeError is one as well
        return False
    expiry, signature = decoded[:_EXPIRY_BYTES], decoded[_EXPIRY_BYTES:]
    left = int.from_bytes(expiry) - now
    return hmac.compare_digest(signature, _sign(key, expiry)) and 0 < left <= 2 * TTL_LONGEST_SECONDS


def _sign(key: bytes, expiry: bytes) -> bytes:
    return hmac.digest(key, expiry, sha256)
