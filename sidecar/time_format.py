"""Timestamps as RFC 3339, the format of AWS."""

import time


def format_time(seconds: float) -> str:
    """Format whole seconds, rounded down, with a literal Z: boto 2 and the JavaScript SDK parse no other format."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds)))
