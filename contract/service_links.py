"""Recognises the variables that the kubelet sets for each Service of a container's namespace.

A Service `podrole` or `podrole-metrics` makes some that look like settings. There is no list of Services to compare
with, so a variable counts as one of them if both its name and its value have the form that Kubernetes documents:
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

import re

_ADDRESS = r"[\d.]+|[0-9a-f:.]*:[0-9a-f:.]*"
_NUMBER = r"\d{1,5}"
_URL = rf"(?:tcp|udp|sctp)://(?:[\d.]+|\[[0-9a-f:.]+\]):{_NUMBER}"
_PORT = r"_PORT_\d{1,5}_(?:TCP|UDP|SCTP)"

FORMS = (
    (r"_PORT", _URL),
    (r"_SERVICE_HOST", _ADDRESS),
    (r"_SERVICE_PORT(?:_[A-Z0-9_]+)?", _NUMBER),
    (_PORT, _URL),
    (rf"{_PORT}_PROTO", r"tcp|udp|sctp"),
    (rf"{_PORT}_PORT", _NUMBER),
    (rf"{_PORT}_ADDR", _ADDRESS),
)
"""The end of a name, after the name of the Service, and the value."""


def is_service_link(variable: str, value: str) -> bool:
    """Whether the kubelet can have set this variable to describe a Service."""
    if "_PORT" not in variable and not variable.endswith("_SERVICE_HOST"):
        return False  # nearly every variable, without compiling the expressions
    return any(
        re.fullmatch(rf"[A-Z_][A-Z0-9_]*?{name}", variable, re.ASCII) and re.fullmatch(text, value, re.ASCII)
        for name, text in FORMS
    )
