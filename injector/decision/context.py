"""What a decision is about: a pod that is being created, and all that a rule may look at. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

import contract
from injector.config import Config
from injector.decision.annotations import ROLE, Wishes, parse_wishes
from injector.k8s.objects import Metadata, Object, parse_metadata

Version = tuple[int, int]
"""Major and minor of a Kubernetes API server."""

POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"
POD_SECURITY_WITHOUT_REDIRECT = ("baseline", "restricted")


class Surroundings(NamedTuple):
    """What of the cluster a decision needs. None: there is no such object, or nobody knows."""

    namespace: Metadata | None
    service_account: Metadata | None
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A pod that is being created, and all that a rule may look at."""

    pod: Object
    metadata: Metadata
    has_namespace: bool
    namespace: Metadata
    wishes: Wishes
    mode: str
    mode_reason: str
    """Why env mode was chosen; empty in redirect mode."""

    version: Version | None
    config: Config

    @property
    def asks_by_itself(self) -> bool:
        """Whether the pod's own annotation names a role, and not just its ServiceAccount or namespace."""
        return ROLE in self.metadata.annotations


def build_question(pod: Object, surroundings: Surroundings, config: Config) -> Question:
    """Read the pod's own wishes, and those of its surroundings for it."""
    metadata = parse_metadata(pod)
    namespace = surroundings.namespace or Metadata({}, {})
    wishes = parse_wishes(metadata, namespace, surroundings.service_account, config)
    mode, mode_reason = choose_mode(namespace, wishes, config)
    return Question(
        pod=pod,
        metadata=metadata,
        has_namespace=surroundings.namespace is not None,
        namespace=namespace,
        wishes=wishes,
        mode=mode,
        mode_reason=mode_reason,
        version=surroundings.version,
        config=config,
    )


def choose_mode(namespace: Metadata, wishes: Wishes, config: Config) -> tuple[str, str]:
    """How a pod gets at its role, and for env mode why so: the pod's wish, the operator's, what PodSecurity allows.

    NET_ADMIN, which the redirect needs, violates `baseline` as well as `restricted`.
    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    level = namespace.labels.get(POD_SECURITY_LABEL)
    if "mode" in wishes.overrides:
        return contract.MODE_ENV, "the pod asks for it"
    if config.mode == contract.MODE_ENV:
        return contract.MODE_ENV, "as the operator configured it"
    if config.mode == "auto" and level in POD_SECURITY_WITHOUT_REDIRECT:
        return contract.MODE_ENV, f"PodSecurity {level} of the namespace forbids the redirect"
    return contract.MODE_REDIRECT, ""
