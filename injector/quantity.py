"""Reads quantities of resources, such as 500m and 1Gi.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from fractions import Fraction

QUANTITY = re.compile(
    r"\+?(\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
POWERS = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def parse_quantity(text: object) -> Fraction | None:
    """Return the value of a quantity that is not negative; None where it is not valid. YAML can have numbers, too."""
    found = QUANTITY.fullmatch(str(text))
    if found is None:
        return None
    number, exponent, suffix = found.groups("")
    if exponent:
        unit = Fraction(f"1e{exponent}")
    elif suffix.endswith("i"):
        unit = Fraction(1024 ** POWERS[suffix[0].replace("K", "k")])
    else:
        unit = Fraction(f"1e{3 * POWERS[suffix]}")
    return Fraction(number) * unit
