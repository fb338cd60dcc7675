"""Kubernetes quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ ."""

import re
from decimal import Decimal

BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
SUFFIXES = BINARY | {suffix: Decimal(10) ** power for suffix, power in DECIMAL.items()}


def parse_quantity(text: object) -> Decimal | None:
    """Parse `500m`, `1Gi`, `0.5`, `1e3`, or the number that YAML made of it; None for what is no quantity."""
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([KMGTPE]i|[numkMGTPE]?)", str(text))
    return Decimal(found[1]) * SUFFIXES[found[2]] if found else None
