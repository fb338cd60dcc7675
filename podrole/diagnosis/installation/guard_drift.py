"""Finds what somebody changed in the guard's ValidatingAdmissionPolicies. Pure.

Whatever an overlay may change is none: messages, the names of further namespaces that are left out, and podrole's own.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from injector.certs.registration import EXPECTATIONS, ServiceName
from injector.k8s.objects import Object, read_mapping, read_objects

NAMESPACE = "podrole-system"
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "podrole-ephemeral-containers": {
        "matchConstraints.resourceRules": "08ba9d12b50b",
        "matchConditions": "12f37f36c4d8",
        "variables": "9f0434c1999f",
        "validations": "9ed8cef1cf04",
    },
    "podrole-injector": {
        "matchConstraints.resourceRules": "a30d61ed8b33",
        "matchConditions": "4f06b84dc06d",
        "variables": "491b9c976112",
        "validations": "e9f399487565",
    },
    "podrole-pods": {
        "matchConstraints.resourceRules": "26d13c9e468e",
        "matchConditions": "d72a161a6551",
        "variables": "f8fe307d8ce5",
        "validations": "98cb6386638a",
    },
    "podrole-updates": {
        "matchConstraints.resourceRules": "16a630075e86",
        "matchConditions": "4f53cda18c2b",
        "variables": "aa547599b6bd",
        "validations": "93ce1d96685b",
    },
    "podrole-exec": {
        "matchConstraints.resourceRules": "e05256d8dc84",
        "matchConditions": "4f53cda18c2b",
        "variables": "4f53cda18c2b",
        "validations": "035447fe3349",
    },
    "podrole-namespaces": {
        "matchConstraints.resourceRules": "77fb9c0f09da",
        "matchConditions": "d5dfdb5d1bc1",
        "variables": "4f53cda18c2b",
        "validations": "abfdbc0e22a4",
    },
}
"""By policy of kustomize/ and by field: the digest of what decides. A test computes them from the manifests."""

UNLABELLED = ("podrole-injector", "podrole-namespaces")
"""Policies without a namespaceSelector. The others have that of the webhook."""

SETTINGS = {
    "sidecarImage": "PODROLE_SIDECAR_IMAGE",
    "imageRewrites": "PODROLE_IMAGE_REWRITES",
    "allowOverrides": "PODROLE_ALLOW_OVERRIDES",
    "podsWithoutRole": "PODROLE_PODS_WITHOUT_ROLE",
    "mode": "PODROLE_MODE",
    "envRuntimeClasses": "PODROLE_ENV_RUNTIME_CLASSES",
    "credentialSource": "PODROLE_CREDENTIAL_SOURCE",
    "template": "PODROLE_TEMPLATE",
    "nodeAccessRequiresUsers": "PODROLE_NODE_ACCESS_REQUIRES_USERS",
}
"""Variables of the policies: the settings of the injector that the component `names` copies to them."""

NOT_SET = "not set"
IMAGE_NAME = re.compile(r"([^/]+/)*[^/:@]+")


class SettingDrift(NamedTuple):
    """A setting that a policy and the injector have differently."""

    variable: str
    found: str
    expected: str

    @property
    def setting(self) -> str:
        """The injector's variable."""
        return SETTINGS[self.variable]


def find_changed_fields(policy: Object, name: str, service: ServiceName) -> list[str]:
    """The fields of spec that differ from those of the manifests."""
    spec = read_mapping(policy, "spec")
    constraints = read_mapping(spec, "matchConstraints")
    is_empty, is_expected = EXPECTATIONS["objectSelector"], EXPECTATIONS["namespaceSelector"]
    selects = is_empty if name in UNLABELLED else is_expected
    found = digest_fields(spec, service.namespace)
    changed = {field: found[field] != digest for field, digest in EXPECTED[name].items()} | {
        "failurePolicy": spec.get("failurePolicy") == "Ignore",
        "paramKind": bool(spec.get("paramKind")),
        "matchConstraints.namespaceSelector": not selects(constraints.get("namespaceSelector"), service),
        "matchConstraints.objectSelector": not is_empty(constraints.get("objectSelector"), service),
        "matchConstraints.excludeResourceRules": bool(constraints.get("excludeResourceRules")),
    }
    return [field for field, is_changed in changed.items() if is_changed]


def find_changed_settings(policy: Object, environ: Mapping[str, str]) -> Iterator[SettingDrift]:
    """The injector's settings of which the policy has another value. `environ` is the injector's."""
    for variable in read_objects(read_mapping(policy, "spec"), "variables"):
        name, found = str(variable.get("name")), str(variable.get("expression")).strip("'")
        expected = environ.get(SETTINGS.get(name, ""), "")
        if name in SETTINGS and _simplify(name, found) != _simplify(name, expected):
            yield SettingDrift(name, found or NOT_SET, expected or NOT_SET)


def digest_fields(spec: Object, namespace: str) -> dict[str, str]:
    """Digests of the fields that decide which requests a policy refuses. `namespace` is podrole's."""
    rules = read_objects(read_mapping(spec, "matchConstraints"), "resourceRules")
    variables = read_objects(spec, "variables")
    decisive = {
        "matchConstraints.resourceRules": [{"scope": "*", **rule} for rule in rules],  # `*` is the default
        "matchConditions": [_read_expression(one) for one in read_objects(spec, "matchConditions")],
        "variables": [one.get("name") if one.get("name") in SETTINGS else _read_expression(one) for one in variables],
        "validations": [_read_expression(one) for one in read_objects(spec, "validations")],
    }
    return {field: _digest(value, namespace) for field, value in decisive.items()}


def _read_expression(parent: Object) -> list[Any]:
    return [parent.get("name"), parent.get("expression")]


def _digest(value: Any, namespace: str) -> str:
    text = json.dumps(value, sort_keys=True).replace(f":{namespace}:", f":{NAMESPACE}:")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _simplify(name: str, value: str) -> str:
    """The policy compares images without tag and digest."""
    found = IMAGE_NAME.match(value) if name == "sidecarImage" else None
    return found[0] if found else value
