"""Hypothesis strategies for pods: the fields that an injection reads or changes, others, unknown ones, and nulls."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

import contract
from injector.k8s.objects import Metadata
from injector.patch.app_env import SIDECAR_VARIABLES
from injector.patch.no_proxy import NO_PROXIES, NO_PROXY_HOSTS, NO_PROXY_VALUE, PROXIES
from injector.patch.pod_uid import POD_UID
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case, Pod

Strategy = st.SearchStrategy[Any]

STRINGS = st.sampled_from(
    ["", "x", "a/b", "c~d", "~1", "$(HOME)", "1", "true", "null", "día", "日本\u2028", '\u0000\\"\n', "*", ","]
)
UNKNOWN_KEYS = st.sampled_from(["futureField", "a/b", "c~d", "~0/~1", "", "-", "0", "example.com/x~y", "ключ"])
JSON = st.sampled_from(
    [None, True, False, 0, -1, 2**53 + 1, 0.5, "", "x", [], {}, [None], [{"a/b": [1]}], {"c~d": None}, {"": {"0": [0]}}]
)
USER_NAMES = st.sampled_from(["app", "web", "istio-proxy", "podrole", "Podrole-x", ""])
RESERVED_NAMES = st.sampled_from(
    ["podrole-redirect", "podrole-sidecar", "podrole-token", "podrole-run", "podrole-", "podrole-x"]
)

HOST_LISTS = (
    *("", ",", "a", "a,", " a , b ", "*", "a,*"),
    *(f"a,{NO_PROXY_HOSTS[0]}", f"a,{NO_PROXY_VALUE}", f"{NO_PROXY_VALUE},a"),
)
ADDED_VALUES = {
    **SIDECAR_VARIABLES,
    "AWS_REGION": CONFIG.region,
    "AWS_DEFAULT_REGION": CONFIG.region,
    "AWS_ENDPOINT_URL": "https://store.example",
}
"""In the order in which an injection appends them."""

ENV_VALUES: Mapping[str, Sequence[str]] = {
    **{name: (value, "another", "") for name, value in ADDED_VALUES.items()},
    **dict.fromkeys(PROXIES[:3], ("http://proxy:3128", "")),
    **dict.fromkeys(NO_PROXIES, HOST_LISTS),
    "AWS_ROLE_ARN": ("arn:aws:iam::111122223333:role/irsa",),
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": ("secret",),
    "HOME": ("", "/", "$(AWS_REGION)", '\u0000\\"\n'),
    "PATH": ("/bin",),
}
ANNOTATIONS = (
    *[("iam.amazonaws.com/role", role) for role in ("reader", "/team-a/reader", "arn:aws:iam::444455556666:role/x")],
    ("iam.amazonaws.com/session-name", "me"),
    ("podrole.io/session-duration", "3600"),
    ("podrole.io/imds-tokens", "required"),
    ("podrole.io/sesion-duration", "1"),
    *[(key, "{}") for key in ("a/b", "c~d", "~0/~1", "", "example.com/x~y")],
)
FORGED_STATUSES = st.text(max_size=5) | st.sampled_from(
    [
        *["", "{}", "null", '{"added": {"containers": null}}'],
        '{"added": {"containers": {"app": {"env": {"AWS_REGION": "eu-west-1", "HOME": "/"}}}}}',
        '{"added": {"containers": {"web": {"appended": {"NO_PROXY": ",*", "HOME": "/"}, "env": {"PATH": "/bin"}}}}}',
    ]
)
CONTEXTS = st.sampled_from(
    [
        (ENABLED, UNANNOTATED),
        (ENABLED._replace(annotations={"podrole.io/default-role": "reader"}), UNANNOTATED),
        (ENABLED, Metadata({}, {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/irsa"})),
    ]
)
"""Namespace and ServiceAccount."""

ALWAYS, OFTEN, SOMETIMES, RARELY = 16, 13, 6, 1
"""How often of 16 times an object has a field."""

Fields = Mapping[str, tuple[int, Strategy]]


@st.composite
def build_objects(draw: st.DrawFn, fields: Fields) -> Pod:
    """An object with some of these fields; one in sixteen that it does not always have is null."""
    made: Pod = {}
    for name, (share, strategy) in fields.items():
        roll = share == ALWAYS or draw(st.integers(0, 15))
        if roll == 15:
            made[name] = None
        elif roll is True or roll >= 15 - share:
            made[name] = draw(strategy)
    if draw(st.integers(0, 15)) == 15:
        made[draw(UNKNOWN_KEYS)] = draw(JSON)
    return made


def build_lists(elements: Strategy, most: int = 3) -> Strategy:
    return st.lists(elements, max_size=most)


VARIABLES = st.sampled_from([(name, value) for name, values in ENV_VALUES.items() for value in values]).flatmap(
    lambda pair: build_objects(
        {
            "name": (ALWAYS, st.just(pair[0])),
            "value": (OFTEN, st.just(pair[1])),
            "valueFrom": (RARELY, st.sampled_from([{}, {"fieldRef": {"fieldPath": "metadata.name"}}])),
        }
    )
)
POD_UIDS = st.sampled_from([POD_UID, {"name": POD_UID["name"]}, {"name": POD_UID["name"], "value": "mine"}])


@st.composite
def build_environments(draw: st.DrawFn) -> list[Pod]:
    """Variables; sometimes the last ones are exactly those that an injection appends."""
    env: list[Pod] = draw(build_lists(VARIABLES, 4))
    if draw(st.integers(0, 3)) == 3:
        env.insert(draw(st.integers(0, len(env))), draw(POD_UIDS))
    first = draw(st.integers(-2 * len(ADDED_VALUES), len(ADDED_VALUES) - 1))
    added = [{"name": name, "value": value} for name, value in ADDED_VALUES.items()] if first >= 0 else []
    return env + added[first:]


RESOURCES = build_objects(
    dict.fromkeys(
        ("limits", "requests"), (OFTEN, st.sampled_from([{"cpu": "1", "memory": "1"}, {"example.com/gpu~1": "1"}, {}]))
    )
)
SECURITY_CONTEXTS = build_objects(
    {
        "runAsUser": (SOMETIMES, st.sampled_from([1000] * 20 + [contract.SIDECAR_UID])),
        "capabilities": (SOMETIMES, st.sampled_from([{"add": ["NET_ADMIN"]}, {"add": ["CHOWN"]}, {"drop": ["ALL"]}])),
        "privileged": (RARELY, st.booleans()),
    }
)


def build_containers(names: Strategy) -> Strategy:
    mounts = build_objects({"name": (ALWAYS, names), "mountPath": (OFTEN, STRINGS), "subPath": (RARELY, STRINGS)})
    return build_objects(
        {
            "name": (OFTEN + 2, names),
            "image": (SOMETIMES, STRINGS),
            "env": (OFTEN, build_environments()),
            "envFrom": (RARELY, st.just([{"configMapRef": {"name": "settings"}}])),
            "volumeMounts": (SOMETIMES, build_lists(mounts, 2)),
            "resources": (SOMETIMES, RESOURCES),
            "securityContext": (SOMETIMES, SECURITY_CONTEXTS),
            "restartPolicy": (RARELY, st.just("Always")),
            "command": (RARELY, build_lists(STRINGS)),
            "lifecycle": (RARELY, JSON),
        }
    )


LINUX = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
REQUIRED = {"nodeSelectorTerms": [{"matchExpressions": [LINUX]}, {"matchFields": []}]}
AFFINITIES = build_objects(
    {
        "podAffinity": (SOMETIMES, JSON),
        "nodeAffinity": (
            SOMETIMES,
            build_objects({"requiredDuringSchedulingIgnoredDuringExecution": (SOMETIMES, st.just(REQUIRED))}),
        ),
    }
)


def build_specs(names: Strategy) -> Strategy:
    containers = build_lists(build_containers(names))
    volumes = build_objects(
        {"name": (ALWAYS, names), "emptyDir": (SOMETIMES, st.just({})), "projected": (RARELY, st.just({"sources": []}))}
    )
    return build_objects(
        {
            "containers": (OFTEN + 2, containers),
            "initContainers": (SOMETIMES, containers),
            "volumes": (SOMETIMES, build_lists(volumes)),
            "securityContext": (SOMETIMES, SECURITY_CONTEXTS),
            "serviceAccountName": (SOMETIMES, USER_NAMES),
            "resources": (RARELY, RESOURCES),
            "hostIPC": (RARELY, st.booleans()),
            "hostPID": (RARELY, st.booleans()),
            "shareProcessNamespace": (RARELY, st.booleans()),
            "runtimeClassName": (RARELY, st.just("gvisor")),
            "os": (RARELY, st.just({"name": "linux"})),
            "affinity": (RARELY, AFFINITIES),
            "tolerations": (RARELY, JSON),
        }
    )


def build_metadata(annotations: Mapping[str, Strategy]) -> Strategy:
    forged = st.fixed_dictionaries({}, optional=annotations)
    pairs = st.builds(lambda pairs, more: {**dict(pairs), **more}, build_lists(st.sampled_from(ANNOTATIONS)), forged)
    return build_objects(
        {
            "name": (SOMETIMES, st.just("app")),
            "generateName": (SOMETIMES, st.just("app-")),
            "annotations": (OFTEN, pairs),
            "labels": (SOMETIMES, st.just({"app": "x", "a~b/c": ""})),
            "ownerReferences": (RARELY, JSON),
        }
    )


def build_cases(names: Strategy, annotations: Mapping[str, Strategy]) -> st.SearchStrategy[Case]:
    """Pods, each with a namespace and perhaps a ServiceAccount.

    As in a review that was parsed, no two places share an object.
    """
    pods = build_objects({"metadata": (OFTEN + 2, build_metadata(annotations)), "spec": (ALWAYS, build_specs(names))})
    return st.builds(lambda pod, context: Case(json.loads(json.dumps(pod)), *context), pods, CONTEXTS)


CASES = build_cases(USER_NAMES, {})
"""Pods without reserved names."""

FORGED_CASES = build_cases(USER_NAMES | RESERVED_NAMES, {"podrole.io/status": FORGED_STATUSES})
"""Pods whose author may have used reserved names and written the status annotation."""


@st.composite
def build_invalid_cases(draw: st.DrawFn) -> Case:
    """Pods that have any JSON at one place, whatever type belongs there."""
    case = draw(CASES | FORGED_CASES)
    parent: Any = case.pod
    while True:
        key = draw(st.sampled_from([*parent] if isinstance(parent, dict) else range(len(parent))))
        if parent[key] and isinstance(parent[key], dict | list) and draw(st.integers(0, 4)):
            parent = parent[key]
        else:
            parent[key] = draw(JSON)
            return case


def normalize(value: Any) -> Any:
    """Make values equal that mean the same: null, a missing field, and an empty object or list.

    So do an empty and a missing value of a variable, https://pkg.go.dev/k8s.io/api/core/v1#EnvVar .
    """
    if isinstance(value, list):
        return [normalize(element) for element in value]
    if not isinstance(value, dict):
        return value
    seen = {key: normalize(element) for key, element in value.items()}
    if isinstance(seen.get("env"), list):
        seen["env"] = [{k: v for k, v in variable.items() if (k, v) != ("value", "")} for variable in seen["env"]]
    return {key: element for key, element in seen.items() if element not in (None, {}, [])}
