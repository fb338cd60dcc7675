"""An HTTP answer as plain data, in the order that Flask takes from a view. No decision is made here."""

from collections.abc import Mapping
from typing import NamedTuple

PLAIN = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
"""EC2 sends its documents as plain text, the JSON ones too; ECS sends JSON."""


class Answer(NamedTuple):
    """Body, status and headers."""

    body: str = ""
    status: int = 200
    headers: Mapping[str, str] = PLAIN
