"""The rules that skip a pod, deny it, or warn, in their order.

Pure. For each rule, a row of tests/unit/injector/decision/outcomes.yaml fails without it.
"""

from collections.abc import Callable, Iterator

from injector.decision.context import AdmissionContext
from injector.decision.deny_rules import (
    deny_disallowed_role,
    deny_invalid_annotations,
    deny_many_reserved_names,
    deny_missing_allow_list,
    deny_missing_namespace,
    deny_missing_service_account,
    deny_needed_reserved_names,
    deny_node_access,
    deny_old_kubernetes,
    deny_sidecar_user,
    deny_unsupported_pod_with_role,
)
from injector.decision.outcomes import Skip
from injector.decision.skip_rules import (
    skip_mirror_pod,
    skip_opted_out_pod,
    skip_pods_without_role,
    skip_unlabelled_namespace,
    skip_unsupported_pod,
    skip_where_redirect_is_forbidden,
)
from injector.decision.warn_rules import (
    warn_env_mode,
    warn_metadata_passthrough,
    warn_node_source,
    warn_privileged_containers,
    warn_sandbox,
    warn_unknown_annotations,
)
from injector.reasons import Explanation

SKIP_RULES: tuple[Callable[[AdmissionContext], Skip | None], ...] = (
    skip_mirror_pod,
    skip_unlabelled_namespace,
    skip_opted_out_pod,
    skip_unsupported_pod,
)
"""The first one that applies skips the pod."""

DENY_RULES: tuple[Callable[[AdmissionContext], Iterator[Explanation]], ...] = (
    deny_missing_namespace,
    deny_missing_service_account,
    deny_unsupported_pod_with_role,
    deny_invalid_annotations,
    deny_disallowed_role,
    deny_missing_allow_list,
    deny_sidecar_user,
    deny_node_access,
    deny_many_reserved_names,
    deny_needed_reserved_names,
    deny_old_kubernetes,
)
"""One denial reports all matching rules."""

SKIP_RULES_WITHOUT_ROLE: tuple[Callable[[AdmissionContext], Skip | None], ...] = (
    skip_pods_without_role,
    skip_where_redirect_is_forbidden,
)
"""The first one that applies skips a pod without a role; otherwise the pod is blocked."""

WARN_RULES: tuple[Callable[[AdmissionContext], Iterator[Explanation]], ...] = (
    warn_unknown_annotations,
    warn_privileged_containers,
    warn_sandbox,
    warn_env_mode,
    warn_node_source,
    warn_metadata_passthrough,
)
"""An injection has the warnings of all that apply."""

WARN_RULES_WITHOUT_ROLE: tuple[Callable[[AdmissionContext], Iterator[Explanation]], ...] = (
    warn_unknown_annotations,
    warn_privileged_containers,
    warn_sandbox,
)
"""A blocked pod has the warnings of all that apply."""
