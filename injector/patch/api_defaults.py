"""The defaults that the API server adds: a container of podrole's with only these additions is unchanged."""

from typing import Any

from injector.k8s.objects import as_mapping

IGNORED = object()
"""This field is not compared."""

MISSING = object()

CONTAINER_DEFAULTS = {
    # LimitRanger and other webhooks set resources, AlwaysPullImages sets the pull policy. Neither weakens podrole, and
    # the plugin that set a value would reject a pod without it.
    "resources": IGNORED,
    "resizePolicy": IGNORED,
    "imagePullPolicy": IGNORED,
    "terminationMessagePath": "/dev/termination-log",
    "env": {"valueFrom": {"fieldRef": {"apiVersion": "v1"}}},
    "securityContext": {"procMount": "Default"},
}
"""https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/apis/core/v1/defaults.go"""

VOLUME_DEFAULTS = {"projected": {"defaultMode": 420, "sources": {"serviceAccountToken": {"expirationSeconds": 3600}}}}


def equals_ignoring_defaults(ours: Any, present: Any, defaults: Any) -> bool:
    """Whether `present` equals `ours` except for defaults. The defaults of a list apply to each of its elements."""
    if isinstance(ours, dict) and isinstance(present, dict):
        known = as_mapping(defaults)
        return all(_equals_field(ours, present, key, known.get(key, MISSING)) for key in ours.keys() | present.keys())
    if isinstance(ours, list) and isinstance(present, list):
        pairs = zip(ours, present, strict=False)
        return len(ours) == len(present) and all(equals_ignoring_defaults(one, other, defaults) for one, other in pairs)
    return type(ours) is type(present) and bool(ours == present)


def _equals_field(ours: dict[str, Any], present: dict[str, Any], key: str, default: Any) -> bool:
    if default is IGNORED:
        return True
    if key in ours and key in present:
        return equals_ignoring_defaults(ours[key], present[key], default)
    # The API server drops empty and false fields, and treats null as missing.
    return present[key] in (default, None) if key in present else not ours[key]
