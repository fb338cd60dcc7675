"""Objects that a user of one namespace can send to the API server, and what the API server makes of them is large."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from injector import metadata_keys as keys
from testing.cluster.pods import APP, ROLE, build_pod

Pod = dict[str, Any]

KIB = 1024
MIB = 1024 * KIB

LARGEST_ANNOTATIONS = 255 * KIB
"""The API server stores 256 KiB of annotations in all; it checks that after mutating webhooks."""

SENT = 1200 * KIB
MANY = 17_000
EMOJI = "\N{GRINNING FACE}"


PodBuilder = Callable[[], Pod]


def annotated(**annotations: str) -> Pod:
    """A pod with a role and these annotations."""
    return build_pod({**ROLE, **annotations})


def with_metadata(**fields: Any) -> Pod:
    """A pod whose metadata has these fields."""
    pod = build_pod()
    return {**pod, "metadata": {**pod["metadata"], **fields}}


def with_container(**fields: Any) -> Pod:
    """A pod whose container has these fields."""
    return build_pod(containers=[{**APP, **fields}])


def repeat(count: int, build: Callable[[int], Any]) -> list[Any]:
    """What `build` returns for each number."""
    return [build(number) for number in range(count)]


def number_keys(count: int, prefix: str) -> dict[str, str]:
    """Empty strings under numbered keys."""
    return {f"{prefix}{number}": "" for number in range(count)}


def build_reserved(number: int) -> Pod:
    """A container with a reserved name."""
    return {"name": f"podrole-{number}", "image": "x"}


LONG_ANNOTATIONS: Mapping[str, PodBuilder] = {
    "session-tags of 1.2 MiB of commas": lambda: annotated(**{keys.SESSION_TAGS: "," * SENT}),
    "session-tags of 255 KiB of commas": lambda: annotated(**{keys.SESSION_TAGS: "," * LARGEST_ANNOTATIONS}),
    "session-tags of 300 000 pairs": lambda: annotated(**{keys.SESSION_TAGS: "a=b," * (SENT // 4)}),
    "session-tags of 64 000 pairs": lambda: annotated(**{keys.SESSION_TAGS: "a=b," * (LARGEST_ANNOTATIONS // 4)}),
    "session-tags of 1.2 MiB of quotes": lambda: annotated(**{keys.SESSION_TAGS: '"' * SENT}),
    "session-tags of 200 000 emoji": lambda: annotated(**{keys.SESSION_TAGS: EMOJI * (SENT // 6)}),
    "role of 1.2 MiB": lambda: annotated(**{keys.ROLE: "a/" * (SENT // 2)}),
    "external-id of 1.2 MiB": lambda: annotated(**{keys.EXTERNAL_ID: "a" * SENT}),
    "session-name of 1.2 MiB": lambda: annotated(**{keys.SESSION_NAME: "a" * SENT}),
    "session-duration of 1.2 MiB": lambda: annotated(**{keys.SESSION_DURATION: "9" * SENT}),
    "imds-tokens of 1.2 MiB": lambda: annotated(**{keys.IMDS_TOKENS: "\n" * SENT}),
    "mode of 1.2 MiB": lambda: annotated(**{keys.MODE: "a" * SENT}),
    "metadata-passthrough of 1.2 MiB": lambda: annotated(**{keys.METADATA_PASSTHROUGH: "a" * SENT}),
    "status of 1.2 MiB": lambda: annotated(**{keys.STATUS_ANNOTATION: "[" * SENT}),
    "key of 1.2 MiB": lambda: annotated(**{keys.PREFIX + "a" * SENT: ""}),
    "85 000 unknown keys": lambda: annotated(**number_keys(85_000, "podrole.io/a")),
    "60 000 keys that look like known ones": lambda: annotated(**number_keys(60_000, "podrole.io/session-tagz")),
}
"""Annotations of a pod. The API server limits them after mutating webhooks."""

WIDE_PODS: Mapping[str, PodBuilder] = {
    "17 000 containers named podrole-N": lambda: build_pod(containers=repeat(MANY, build_reserved)),
    "17 000 init containers named podrole-N": lambda: build_pod(initContainers=repeat(MANY, build_reserved)),
    "1000 containers": lambda: build_pod(containers=repeat(1000, lambda number: {**APP, "name": f"a{number}"})),
    "1000 containers with 60 variables": lambda: build_pod(
        containers=repeat(
            1000,
            lambda number: {**APP, "name": f"a{number}", "env": repeat(60, lambda each: {"name": f"v{each}"})},
        )
    ),
    "17 000 volumes named podrole-N": lambda: build_pod(
        volumes=repeat(MANY, lambda number: {"name": f"podrole-{number}", "emptyDir": {}})
    ),
    "17 000 mounts of podrole-N": lambda: with_container(
        volumeMounts=repeat(MANY, lambda number: {"name": f"podrole-{number}", "mountPath": f"/{number}"})
    ),
    "100 000 variables": lambda: with_container(env=repeat(100_000, lambda number: {"name": f"a{number}"})),
    "60 000 variables of one name": lambda: with_container(
        env=[{"name": "HTTPS_PROXY", "value": "http://p"}] + [{"name": "NO_PROXY", "value": "a"}] * 60_000
    ),
    "NO_PROXY of 1 MiB": lambda: with_container(
        env=[{"name": "HTTPS_PROXY", "value": "http://p"}, {"name": "NO_PROXY", "value": "a," * (MIB // 2)}]
    ),
    "60 000 envFrom": lambda: with_container(envFrom=[{"configMapRef": {"name": "a"}}] * 60_000),
    "60 000 capabilities": lambda: with_container(securityContext={"capabilities": {"add": ["NET_ADMIN"] * 60_000}}),
    "100 000 arguments": lambda: with_container(args=["a"] * 100_000),
    "60 000 tolerations": lambda: build_pod(tolerations=[{"key": "a"}] * 60_000),
    "100 000 node selectors": lambda: build_pod(nodeSelector=number_keys(100_000, "a")),
    "85 000 labels": lambda: with_metadata(labels=number_keys(85_000, "podrole.io/a")),
    "30 000 owners": lambda: with_metadata(
        ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "a"}] * 30_000
    ),
    "name of 2.9 MB": lambda: with_metadata(name="a" * 2_900_000),
    "ServiceAccount's name of 2.9 MB": lambda: build_pod(serviceAccountName="a" * 2_900_000),
    "container's name of 2.9 MB": lambda: with_container(name="a" * 2_900_000),
}
"""Many entries in each list and map of a pod, and long names. The API server validates them after mutating webhooks."""


Account = dict[str, Any]


def build_account(name: str, **metadata: Any) -> Account:
    """A ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, **metadata}}


def fill(text: str) -> str:
    """The text, repeated up to the largest annotation that the API server stores."""
    return text * (LARGEST_ANNOTATIONS // len(text.encode()))


def annotate_account(key: str, value: str) -> Callable[[int], Account]:
    """Builds ServiceAccounts with one annotation."""
    return lambda number: build_account(f"a{number}", annotations={key: value})


ACCOUNTS: Mapping[str, tuple[int, Callable[[int], Account]]] = {
    "an unrelated annotation": (500, annotate_account("example.com/notes", fill("a"))),
    "an annotation of emoji": (500, annotate_account("example.com/notes", fill(EMOJI))),
    "an annotation of <": (500, annotate_account("example.com/notes", fill("<"))),
    "a long role": (200, annotate_account(keys.ROLE, fill("a"))),
    "a role of 900 emoji": (2000, annotate_account(keys.ROLE, EMOJI * 900)),
    "14 000 annotations": (
        50,
        lambda number: build_account(f"a{number}", annotations=number_keys(14_000, "podrole.io/")),
    ),
    "5000 labels": (50, lambda number: build_account(f"a{number}", labels=number_keys(5000, "podrole.io/"))),
    "30 000 finalizers": (
        20,
        lambda number: build_account(f"a{number}", finalizers=repeat(30_000, lambda each: f"a.b/{each}")),
    ),
    "nothing": (10_000, lambda number: build_account(f"a{number}")),
}
"""How many ServiceAccounts, and one of them. The API server stores 1.5 MiB of an object, 256 KiB of its annotations."""


def build_allow_lists(seed: int) -> dict[str, dict[str, str]]:
    """Annotations of a namespace that cost a regular expression engine much; each seed gives other values."""
    return {
        "5400 classes": {keys.PERMITTED: f"(?i){seed}|" + r"\PL" * 5400},
        "8 KiB of classes": {keys.PERMITTED: f"(?i){seed}|" + r"\PL" * 2700},
        "2 KiB of classes": {keys.PERMITTED: f"(?i){seed}|" + r"\PL" * 670},
        "8 KiB of letters in any case": {keys.PERMITTED: f"(?i){seed}|" + "k" * 8000},
        "8 KiB of repetitions": {keys.PERMITTED: f"{seed}|" + "(a?b?){50}" * 800},
        "8 KiB of nested repetitions": {keys.PERMITTED: f"{seed}|" + "((a{9}){9}){9}" * 580},
        "8 KiB of alternatives": {keys.PERMITTED: "|".join(f"{seed}.*{number}.*" for number in range(600))},
        "600 globs": {keys.ALLOWED_ROLES: json.dumps([f"{seed}*{number}" for number in range(600)])},
        "a glob of stars": {keys.ALLOWED_ROLES: json.dumps([f"{seed}" + "*a" * 4000])},
        "deep JSON": {keys.ALLOWED_ROLES: "[" * 8000 + str(seed)},
        "255 KiB": {keys.ALLOWED_ROLES: json.dumps([f"{seed}", "a" * (254 * KIB)])},
    }
