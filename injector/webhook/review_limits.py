"""Limits a review before it is parsed, so that no body takes more memory than MAX_PARSED_BYTES when it is.

The API server accepts objects of 3 MiB at most, and etcd stores 1.5 MiB: a pod that can be stored is accepted, unless
it consists of tiny values.
https://github.com/kubernetes/kubernetes/blob/v1.34.4/staging/src/k8s.io/apiserver/pkg/server/config.go
"""

import re

MAX_PARSED_BYTES = 12 * 1024 * 1024
MAX_CONTAINERS = 1000
"""In env mode the patch has 400 bytes for each: more than a kubelet can run would take more memory than there is."""

BYTES_OF_VALUES = {b",": 72, b":": 112, b"{": 48, b"[": 48}
"""What CPython takes for the value that follows such a byte: the largest of the measured ones, for a string, for a key
in a growing dictionary, and for an empty container."""

MAX_BYTES_OF_BYTE = max(BYTES_OF_VALUES.values()) + 4
"""What one byte of a body can take at most: few bodies are so large that they must be counted."""

WIDEST_CHARACTERS = (b"\\ud", b"\\uD", b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")
"""How characters outside the Basic Multilingual Plane begin, as escapes and in UTF-8."""

HEAD_BYTES = 4096
UID = re.compile(rb'"request"\s*:\s*\{\s*"uid"\s*:\s*"([0-9A-Za-z-]{1,64})"')


def estimate_parsed_bytes(body: bytes) -> int:
    """An upper bound of the memory that the parsed body can take, in bytes."""
    if (upper_bound := len(body) * MAX_BYTES_OF_BYTE) <= MAX_PARSED_BYTES:
        return upper_bound
    values = sum(body.count(start) * size for start, size in BYTES_OF_VALUES.items())
    return values + len(body) * _widest_character(body)


def find_uid(body: bytes) -> str:
    """The uid of a review that is not parsed, which the API server writes first; empty if it is not there."""
    found = UID.search(body, 0, HEAD_BYTES)
    return found[1].decode() if found else ""


def _widest_character(body: bytes) -> int:
    """Bytes of one character: one emoji makes each character of its string take four."""
    if any(start in body for start in WIDEST_CHARACTERS):
        return 4
    return 1 if body.isascii() and b"\\u" not in body else 2
