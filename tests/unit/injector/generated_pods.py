"""Pods as the API's own schema has them, with null and unknown fields at every level, and what matters made likely.

Each is made from a seed by a plain random generator, as ten thousand must not take minutes. So a failure shrinks to a
small size and some seed, not to a minimal pod; the call that hypothesis prints makes the same pod again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st
from kubernetes.client import models

import contract
from injector.k8s.objects import Metadata
from injector.patch.app_env import NO_PROXIES, NO_PROXY_HOSTS, NO_PROXY_VALUE, PROXIES, SIDECAR_VARIABLES
from tests.unit.injector.cases import CONFIG, ENABLED, Case, Pod

DEEPEST = 7
"""Levels below the pod at which objects still get fields that the injector does not look at."""

STRINGS = ("", "x", "a/b", "c~d", "~1", "$(HOME)", "1", "true", "null", "día", "日本\u2028", '\u0000\\"\n', "*", ",")
KEYS = ("futureField", "a/b", "c~d", "~0/~1", "", "-", "0", "example.com/x~y", "ключ")
NUMBERS = (0, 1, -1, 8080, 2**53 + 1)
USER_NAMES = ("app", "web", "istio-proxy", "podrole", "Podrole-x", "")
RESERVED_NAMES = ("podrole-redirect", "podrole-sidecar", "podrole-token", "podrole-run", "podrole-", "podrole-x")

HOST_LISTS = (
    "",
    ",",
    "a",
    "a,",
    " a , b ",
    "*",
    "a,*",
    f"a,{NO_PROXY_HOSTS[0]}",
    f"a,{NO_PROXY_VALUE}",
    f"{NO_PROXY_VALUE},a",
)
OUR_VALUES = {
    **SIDECAR_VARIABLES,
    "AWS_REGION": CONFIG.region,
    "AWS_DEFAULT_REGION": CONFIG.region,
    "AWS_ENDPOINT_URL": "https://store.example",
}
"""In the order in which an injection appends them."""

ENV_VALUES: Mapping[str, Sequence[str]] = {
    **{name: (value, "another", "") for name, value in OUR_VALUES.items()},
    **dict.fromkeys(PROXIES[:3], ("http://proxy:3128", "")),
    **dict.fromkeys(NO_PROXIES, HOST_LISTS),
    "AWS_ROLE_ARN": ("arn:aws:iam::111122223333:role/irsa",),
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": ("secret",),
    "HOME": STRINGS,
    "PATH": STRINGS,
}
ANNOTATIONS = (
    *[("iam.amazonaws.com/role", role) for role in ("reader", "/team-a/reader", "arn:aws:iam::444455556666:role/x")],
    ("iam.amazonaws.com/session-name", "me"),
    ("podrole.io/session-duration", "3600"),
    ("podrole.io/imds-tokens", "required"),
    ("podrole.io/sesion-duration", "1"),
    *[(key, "{}") for key in KEYS],
)
SURROUNDINGS = (
    (ENABLED, None),
    (ENABLED._replace(annotations={"podrole.io/default-role": "reader"}), None),
    (ENABLED, Metadata({}, {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/irsa"})),
)
"""Namespace and ServiceAccount."""

LIKELY: Mapping[str, Mapping[str, float]] = {
    "V1Pod": {"metadata": 0.95, "spec": 1},
    "V1ObjectMeta": {"annotations": 0.8, "labels": 0.3, "name": 0.7},
    "V1PodSpec": {"containers": 0.98, "initContainers": 0.5, "volumes": 0.5, "securityContext": 0.3, "hostIPC": 0.1},
    "V1Container": {"name": 0.97, "env": 0.8, "volumeMounts": 0.4, "resources": 0.3, "securityContext": 0.3},
    "V1EnvVar": {"name": 0.98, "value": 0.9, "valueFrom": 0.1},
    "V1Volume": {"name": 0.95},
    "V1VolumeMount": {"name": 0.95, "mountPath": 0.8},
    "V1ResourceRequirements": {"limits": 0.7, "requests": 0.5},
    "V1SecurityContext": {"capabilities": 0.4, "runAsUser": 0.4},
}
"""Fields that the injector looks at, and how often they are there. Of all the others an object has two at most."""

KIND = re.compile(r"(?:(List|Dict)\[(?:str, )?)?(\w+)\]?")


class Draw:
    """The randomness of one pod."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = Random(seed)
        self.size = size
        is_forged = self.chance(0.15)
        self.names = USER_NAMES + RESERVED_NAMES if is_forged else USER_NAMES
        self.annotations = (*ANNOTATIONS, ("podrole.io/status", "{}")) if is_forged else ANNOTATIONS

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, values: Sequence[Any]) -> Any:
        return values[int(self.random.random() * len(values))]

    def up_to(self, most: int) -> range:
        return range(int(self.random.random() * (most + 1)))

    def json(self, depth: int = 2) -> Any:
        kind = self.pick(range(7 if depth else 5))
        if kind == 5:
            return [self.json(depth - 1) for _ in self.up_to(2)]
        if kind == 6:
            return {self.pick(KEYS): self.json(depth - 1) for _ in self.up_to(2)}
        return (None, self.chance(0.5), self.pick(NUMBERS), 0.5, self.pick(STRINGS))[kind]


Maker = Callable[[Draw, int], Any]
"""Makes a value, so many levels below the pod."""


def _make_environment(draw: Draw, depth: int) -> list[Pod]:
    """Sometimes with the very variables that an injection adds at its end."""
    env: list[Pod] = build_maker("List[V1EnvVar]")(draw, depth)
    ours = [{"name": name, "value": value} for name, value in OUR_VALUES.items()] if draw.chance(0.1) else []
    return env + ours[len(draw.up_to(4)) : len(ours) - len(draw.up_to(2))]


SCALARS: Mapping[str, Maker] = {
    "str": lambda draw, _: draw.pick(STRINGS),
    "int": lambda draw, _: draw.pick(NUMBERS),
    "bool": lambda draw, _: draw.chance(0.5),
    "datetime": lambda _draw, _: "2024-02-29T12:00:00Z",
    "object": lambda draw, _: draw.json(),
}
SPECIAL: Mapping[str, Maker] = {
    "V1ObjectMeta.annotations": lambda draw, _: dict(draw.pick(draw.annotations) for _ in draw.up_to(3)),
    "V1PodOS.name": lambda draw, _: draw.pick(("linux", "windows")),
    "V1Container.name": lambda draw, _: draw.pick(draw.names),
    "V1Volume.name": lambda draw, _: draw.pick(draw.names),
    "V1VolumeMount.name": lambda draw, _: draw.pick(draw.names),
    "V1Container.env": _make_environment,
    "V1EnvVar.name": lambda draw, _: draw.pick(tuple(ENV_VALUES)),
    "V1SecurityContext.runAsUser": lambda draw, _: contract.SIDECAR_UID if draw.chance(0.05) else 1000,
    "V1Capabilities.add": lambda draw, _: [draw.pick(("NET_ADMIN", "CAP_SYS_ADMIN", "CHOWN")) for _ in draw.up_to(2)],
    **dict.fromkeys(
        ("V1ResourceRequirements.limits", "V1ResourceRequirements.requests"),
        lambda draw, _: {key: "1" for key in ("cpu", "memory", "example.com/gpu~1") if draw.chance(0.8)},
    ),
}


@cache
def build_maker(kind: str) -> Maker:
    """How to make a value of one of the client's types, such as `List[V1Container]`."""
    parsed = KIND.fullmatch(kind)
    assert parsed, kind
    outer, inner = parsed.groups()
    if outer == "List":
        return lambda draw, depth: [build_maker(inner)(draw, depth + 1) for _ in draw.up_to(draw.size)]
    if outer == "Dict":
        return lambda draw, depth: {draw.pick(KEYS): build_maker(inner)(draw, depth + 1) for _ in draw.up_to(2)}
    return SCALARS.get(inner) or _build_object_maker(inner)


def _build_object_maker(model: str) -> Maker:
    schema = getattr(models, model)
    kinds = {schema.attribute_map[attribute]: kind for attribute, kind in schema.openapi_types.items()}
    likely = LIKELY.get(model, {})
    others = [field for field in kinds if field not in likely]

    def make(draw: Draw, depth: int) -> Pod:
        fields = [field for field, probability in likely.items() if draw.chance(probability)]
        if depth < DEEPEST:
            fields += [draw.pick(others) for _ in draw.up_to(2) if others]
        made: Pod = {draw.pick(KEYS): draw.json()} if draw.chance(0.15) else {}
        for field in fields:
            maker = SPECIAL.get(f"{model}.{field}") or build_maker(kinds[field])
            made[field] = None if field != "spec" and draw.chance(0.05) else maker(draw, depth + 1)
        if model == "V1EnvVar" and made.get("value") is not None:
            made["value"] = draw.pick(ENV_VALUES.get(str(made.get("name")), STRINGS))
        return made

    return make


def build_random_case(seed: int, size: int) -> Case:
    """The pod of this seed and its surroundings; no list has more elements than `size`."""
    draw = Draw(seed, size)
    return Case(build_maker("V1Pod")(draw, 0), *draw.pick(SURROUNDINGS))


def build_broken_case(seed: int, size: int) -> Case:
    """The same with some JSON in one place, whatever type belongs there."""
    case, draw = build_random_case(seed, size), Draw(seed, size)
    place: Any = case.pod
    while True:
        key = draw.pick([*place] if isinstance(place, dict) else range(len(place)))
        if place[key] and isinstance(place[key], dict | list) and draw.chance(0.8):
            place = place[key]
        else:
            place[key] = draw.json()
            return case


SEEDS, SIZES = st.integers(0, 2**48), st.integers(1, 4)
CASES = st.builds(build_random_case, SEEDS, SIZES)
BROKEN_CASES = st.builds(build_broken_case, SEEDS, SIZES)


def normalize(value: Any) -> Any:
    """Two values of which this is equal mean the same: null, missing, and an empty object or list are one.

    So are an empty and a missing value of a variable, https://pkg.go.dev/k8s.io/api/core/v1#EnvVar .
    """
    if isinstance(value, list):
        return [normalize(element) for element in value]
    if not isinstance(value, dict):
        return value
    seen = {key: normalize(element) for key, element in value.items()}
    if isinstance(seen.get("env"), list):
        seen["env"] = [{k: v for k, v in variable.items() if (k, v) != ("value", "")} for variable in seen["env"]]
    return {key: element for key, element in seen.items() if element not in (None, {}, [])}
