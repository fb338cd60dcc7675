"""Pods, namespaces and reviews that a user can write to make a decision expensive."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from injector.metadata_keys import (
    ALLOWED_ROLES,
    DEFAULT_ROLE,
    IRSA_ROLE,
    MAX_ALLOW_LIST_BYTES,
    PERMITTED,
    POD_ANNOTATIONS,
    ROLE,
    STATUS_ANNOTATION,
)
from injector.value_types import AllowedRolesFormat

ROLE_ARN = "arn:aws:iam::111122223333:role/" + "a/" * 255 + "a" * 64


class Hostile(NamedTuple):
    """One request, with the objects of the cluster that it is decided by."""

    pod: Callable[[], dict[str, Any]]
    namespace: Mapping[str, str] = {}
    service_account: Mapping[str, str] = {}
    config: Mapping[str, Any] = {}


def pod_of(
    annotations: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    metadata = {"name": "app", "namespace": "demo", "labels": labels or {}}
    metadata["annotations"] = {ROLE: ROLE_ARN} if annotations is None else annotations
    return {"metadata": metadata, "spec": {"containers": [{"name": "app"}], **spec}}


def annotated(key: str, value: str) -> Callable[[], dict[str, Any]]:
    return lambda: pod_of({ROLE: ROLE_ARN, key: value})


def with_env(count: int, name: str = "A{}", value: str = "x") -> Callable[[], dict[str, Any]]:
    def build() -> dict[str, Any]:
        env = [{"name": name.format(number), "value": value} for number in range(count)]
        return pod_of(containers=[{"name": "app", "env": env}])

    return build


def named(prefix: str, count: int, field: str = "containers") -> Callable[[], dict[str, Any]]:
    return lambda: pod_of(None, None, **{field: [{"name": f"{prefix}{number}"} for number in range(count)]})


def with_no_proxy(count: int, value: str) -> Callable[[], dict[str, Any]]:
    env = [{"name": "HTTP_PROXY", "value": "http://p"}, {"name": "NO_PROXY", "value": value}]
    return lambda: pod_of(containers=[{"name": f"c{number}", "env": env} for number in range(count)])


def with_security(count: int, **security: Any) -> Callable[[], dict[str, Any]]:
    return lambda: pod_of(containers=[{"name": f"c{number}", "securityContext": security} for number in range(count)])


def with_metadata(**fields: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"metadata": {**pod_of()["metadata"], **fields}, "spec": pod_of()["spec"]}


def fill(unit: str, size: int = MAX_ALLOW_LIST_BYTES, start: str = "", end: str = "") -> str:
    """Repeat a unit up to this size."""
    return start + unit * ((size - len((start + end).encode())) // len(unit.encode())) + end


def fill_list(entry: str, size: int = MAX_ALLOW_LIST_BYTES) -> str:
    """A JSON list of as many entries as fit."""
    return json.dumps([entry] * ((size - 2) // (len(json.dumps(entry)) + 2)))


BIG = 2_900_000
EMOJI = "😀"

EACH_KEY = (*POD_ANNOTATIONS, STATUS_ANNOTATION, "podrole.io/unknown", "example.com/other")

PODS: Mapping[str, Hostile] = {
    **{f"{key}-of-commas": Hostile(annotated(key, "," * 4096)) for key in EACH_KEY},
    **{f"{key}-of-emoji": Hostile(annotated(key, EMOJI + "a" * (BIG - 4))) for key in EACH_KEY},
    **{
        f"{key}-of-{name}": Hostile(annotated(key, value))
        for key in ("podrole.io/session-tags", "podrole.io/status")
        for name, value in {
            "3-mib-of-commas": "," * BIG,
            "100-kib-of-commas": "," * 100_000,
            "tags": "é=é," * 682,
            "braces": "[" * 64_000,
            "objects": "{" + ",".join(f'"{n}":{{"env":{{"AWS_REGION":""}}}}' for n in range(1800)) + "}",
        }.items()
    },
    "label-of-3-mib": Hostile(lambda: pod_of(labels={"podrole.io/inject": "x" * BIG})),
    "unknown-podrole-annotations": Hostile(
        lambda: pod_of({ROLE: "a", **{f"podrole.io/session-{number}": "" for number in range(48_000)}})
    ),
    "unknown-annotation-with-a-long-key": Hostile(lambda: pod_of({ROLE: "a", "podrole.io/" + "session" * 400_000: ""})),
    "many-annotations": Hostile(lambda: pod_of({ROLE: "a", **{f"a{number}": "" for number in range(50_000)}})),
    "env-of-20000": Hostile(with_env(20_000)),
    "env-of-25000-aws-variables": Hostile(with_env(25_000, "AWS_CONTAINER_{}")),
    "env-with-one-name": Hostile(with_env(25_000, "AWS_ROLE_ARN")),
    "env-of-NO_PROXY": Hostile(with_env(25_000, "NO_PROXY")),
    "env-of-3-mib": Hostile(with_env(1, value="x" * BIG)),
    "containers": Hostile(named("c", 1000)),
    "containers-in-env-mode": Hostile(named("c", 1000), config={"mode": "env"}),
    "init-containers": Hostile(named("c", 999, "initContainers")),
    "containers-over-the-limit": Hostile(named("c", 17_000)),
    "reserved-containers": Hostile(named("podrole-", 1000)),
    "reserved-containers-over-the-limit": Hostile(named("podrole-", 17_000)),
    "reserved-init-containers": Hostile(named("podrole-", 999, "initContainers")),
    "reserved-volumes": Hostile(named("podrole-", 45_000, "volumes")),
    "reserved-volumes-like-ours": Hostile(
        lambda: pod_of(volumes=[{"name": "podrole-token", "projected": {}}] * 40_000)
    ),
    "reserved-mounts": Hostile(
        lambda: pod_of(containers=[{"name": "app", "volumeMounts": [{"name": "podrole-token"}] * 45_000}])
    ),
    "containers-with-one-name": Hostile(lambda: pod_of(containers=[{"name": "app"}] * 1000)),
    "container-with-a-long-name": Hostile(lambda: pod_of(containers=[{"name": "x" * BIG, "env": []}])),
    "container-with-a-long-emoji-name": Hostile(
        lambda: pod_of(containers=[{"name": EMOJI * (BIG // 4), "envFrom": [{}]}])
    ),
    "reserved-container-with-a-long-name": Hostile(lambda: pod_of(containers=[{"name": "podrole-" + "x" * BIG}])),
    "no-proxy-of-3-mib": Hostile(with_no_proxy(1, "," * BIG)),
    "no-proxy-of-3-mib-of-emoji": Hostile(with_no_proxy(1, EMOJI + "a" * BIG)),
    "no-proxy-in-1000-containers": Hostile(with_no_proxy(1000, "," * 2800)),
    "no-proxy-of-hosts": Hostile(with_no_proxy(1, "a," * 60_000)),
    "no-proxy-of-spaces": Hostile(with_no_proxy(30, " ," * 2000)),
    "sidecar-user-everywhere": Hostile(
        with_security(1000, runAsUser=16925, runAsGroup=16925, supplementalGroups=[16925])
    ),
    "capabilities": Hostile(
        with_security(1000, privileged=True, capabilities={"add": ["all", "net_admin", "CAP_SYS_ADMIN"]})
    ),
    "many-capabilities": Hostile(with_security(1, capabilities={"add": [f"A{number}" for number in range(140_000)]})),
    "long-capability": Hostile(with_security(1, capabilities={"add": ["a" * BIG, EMOJI]})),
    "supplemental-groups": Hostile(lambda: pod_of(securityContext={"supplementalGroups": [*range(150_000)]})),
    "node-selector": Hostile(lambda: pod_of(nodeSelector={f"a{number}": "" for number in range(50_000)})),
    "node-selector-of-3-mib": Hostile(lambda: pod_of(nodeSelector={"kubernetes.io/os": "x" * BIG})),
    "owner-references": Hostile(with_metadata(ownerReferences=[{"kind": "A"}] * 60_000)),
    "owner-with-a-long-name": Hostile(
        with_metadata(ownerReferences=[{"controller": True, "kind": "K", "name": "x" * BIG}])
    ),
    "pod-with-a-long-name": Hostile(with_metadata(name="x" * BIG)),
    "pod-with-a-long-emoji-name": Hostile(with_metadata(name=EMOJI * (BIG // 4))),
    "pod-with-a-name-of-control-characters": Hostile(with_metadata(name="\x1b" * 480_000)),
    "pod-with-a-name-of-another-type": Hostile(with_metadata(name=[0] * 100_000, generateName={})),
    "generate-name": Hostile(with_metadata(name="", generateName="x" * BIG)),
    "managed-fields": Hostile(with_metadata(managedFields=[{"fieldsV1": {f"f:{n}": {} for n in range(30_000)}}])),
    "nested-objects": Hostile(with_metadata(managedFields=json.loads('{"a":' * 900 + "0" + "}" * 900))),
    "tiny-values": Hostile(lambda: pod_of(tolerations=[{"": 0}] * 400_000)),
    "tiny-lists": Hostile(lambda: pod_of(tolerations=[[]] * 1_000_000)),
    "resources": Hostile(
        lambda: pod_of(containers=[{"name": "a", "resources": {"limits": {f"x{n}": "1" for n in range(45_000)}}}])
    ),
    "command-of-many-words": Hostile(lambda: pod_of(containers=[{"name": "a", "command": ["a"] * 140_000}])),
    "everything-wrong-in-1000-containers": Hostile(
        lambda: pod_of(
            {ROLE: "x" * 4096, "podrole.io/session-tags": "," * 4096, "podrole.io/mode": "x" * 4096},
            containers=[
                {
                    "name": "é" * 250,
                    "securityContext": {"privileged": True, "runAsUser": 16925},
                    "env": [{"name": "AWS_ROLE_ARN", "value": "a"}],
                }
            ]
            * 1000,
        )
    ),
}

REGEXPS: Mapping[str, str] = {
    "negated-unicode-classes": fill(r"\PL", start="(?i)"),
    "unicode-classes": fill(r"\pL"),
    "ten-unicode-classes": "(?i)" + r"[^\pL\PN]{9}" * 5,
    "unicode-classes-in-brackets": fill(r"\pL\PN", 2048, "[^", "]"),
    "negated-ascii-classes": fill("[[:^alpha:]]", 2048, "(?i)"),
    "not-words": fill(r"\W", 2048, "(?i)"),
    "wide-ranges": fill("[\u0080-\U0010fffe]", 2048, "(?i)"),
    "kelvin-signs": fill("\u212a", 2048, "(?i)"),
    "dots": fill(".", 2048),
    "optional-dots": fill(".?", 2048),
    "repetitions": fill("a{999}", 2048),
    "repetitions-of-repetitions": fill("(a{1,9}){9}", 2048),
    "nested-repetitions": "(?:.{1,30}){1,30}b",
    "repeated-choices": "(?:(?:a?b?.?)*x?){500}",
    "optional-letters": "(?:[ab]?.?){900}b",
    "groups": "(" * 900 + "a" + ")" * 900,
    "alternatives": fill("a|", 2048, end="b"),
    "empty-alternatives": fill("|", 2048),
    "quotes": fill(r"\Q\E", 2048),
    "backslashes": fill("\\\\", 2048),
    "flags": fill("(?i)", 2048),
    "anchors": fill("^$", 2048),
    "stars": fill(".*", 2048),
    "letters-of-8-kib": fill("a"),
    "8-kib-of-emoji": fill(EMOJI),
}
LISTS: Mapping[str, str] = {
    "4-globs-of-stars": json.dumps(["*" * 2000] * 4),
    "stars-and-letters": json.dumps(["*a" * 1000] * 4),
    "question-marks": json.dumps(["?" * 2000] * 4),
    "one-glob": json.dumps(["*?" * 4000]),
    "many-globs": fill_list("*a*b"),
    "many-entries": fill_list(""),
    "500-entries": json.dumps(["arn:*", "*/a"] * 250),
    "1000-regexps": json.dumps([f"a{n}" for n in range(1000)]),
    "500-regexps": json.dumps([f"a{n:03}" for n in range(500)]),
    "500-repetitions": json.dumps([f".{{{n}}}" for n in range(500)]),
    "regexps-below-the-limit": json.dumps(["(?:(?:a?b?.?)*x?){249}", "arn:(?:(?:a?b?.?)*x?){249}"]),
    "nested-json": "[" * 8192,
    "nested-objects": fill('{"":', 8192),
    "numbers": "[" + "9" * 8000 + "]",
    "escapes": json.dumps(["\u0430" * 1300]),
    "one-regexp-of-8-kib": json.dumps(["(?i)" + r"\PL" * 2000]),
    "4-regexps-of-unicode-classes": json.dumps([r"(?i)" + r"\PL" * 10] * 4),
    "25-regexps-of-unicode-classes": json.dumps([r"(?i)" + r"[^\pL]" * 10] * 40),
    "4-regexps-of-wide-ranges": json.dumps(["(?i)" + "[\u0080-\U0010fffe]" * 60] * 4, ensure_ascii=False),
}
ALLOW_LISTS: Mapping[str, Hostile] = {
    **{f"permitted-{name}": Hostile(pod_of, {PERMITTED: regexp}) for name, regexp in REGEXPS.items()},
    **{
        f"{form}s-{name}": Hostile(pod_of, {ALLOWED_ROLES: entries}, config={"allowed_roles_format": form})
        for form in AllowedRolesFormat
        for name, entries in LISTS.items()
    },
    "both-allow-lists": Hostile(
        pod_of,
        {PERMITTED: REGEXPS["repeated-choices"], ALLOWED_ROLES: LISTS["regexps-below-the-limit"]},
        config={"allowed_roles_format": AllowedRolesFormat.REGEXP},
    ),
    "allow-list-over-the-limit": Hostile(pod_of, {ALLOWED_ROLES: "," * (MAX_ALLOW_LIST_BYTES + 1)}),
    **{
        f"{kind}-{key}-of-4-kib": Hostile(lambda: pod_of({}), **{kind: {key: value}})
        for kind, key in (("namespace", DEFAULT_ROLE), ("service_account", ROLE), ("service_account", IRSA_ROLE))
        for value in ("arn:aws:iam::111122223333:role/" + "a/" * 2000,)
    },
}

HOSTILE: Mapping[str, Hostile] = {**PODS, **ALLOW_LISTS}


def repeat(unit: str, size: int) -> str:
    """A text of about this many bytes."""
    return unit * max(1, size // len(unit.encode(errors="replace")))


SIZES = st.sampled_from([10, 4096, 8192, 65_536, 500_000, BIG])
TEXTS = st.builds(repeat, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), SIZES)
KEYS = st.sampled_from([*POD_ANNOTATIONS, STATUS_ANNOTATION, "podrole.io/unknown", "a"]) | TEXTS
LEAVES = st.none() | st.booleans() | st.integers(0, 99_999) | st.text(max_size=5)
WORDS = ("name", "value", "env", "valueFrom", "securityContext", "capabilities", "add", "drop", "volumeMounts", "kind")
ELEMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner),
    max_leaves=6,
)
LIST_FIELDS = ("containers", "initContainers", "volumes", "tolerations", "imagePullSecrets", "hostAliases")
NAMES = st.sampled_from(["NO_PROXY", "no_proxy", "HTTP_PROXY", "AWS_ROLE_ARN", "AWS_CONTAINER_A", "AWS_REGION"]) | TEXTS


@st.composite
def hostile_pods(draw: st.DrawFn) -> dict[str, Any]:
    """A pod with long texts, long lists and values of wrong types, of at most about 3 MiB."""
    pod = pod_of({ROLE: "reader", draw(KEYS): draw(TEXTS)}, {"podrole.io/inject": draw(TEXTS)})
    element, field = draw(ELEMENTS), draw(st.sampled_from(LIST_FIELDS))
    count = draw(SIZES) // len(json.dumps(element))
    variable = {"name": draw(NAMES), "value": draw(TEXTS)}
    container = {"name": draw(NAMES), "env": [variable] * max(1, draw(SIZES) // len(json.dumps(variable)))}
    pod["spec"]["containers"].append(container)
    pod["spec"][field] = [*pod["spec"].get(field, []), *[element] * count]
    return pod
