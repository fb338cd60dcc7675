"""What a pod must have after an injection: from a decision, the pod and the template."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import contract
from contract.modes import Mode
from injector.config import Config
from injector.decision.outcomes import Block, Inject
from injector.decision.pod_settings import POD_ANNOTATIONS
from injector.explanations import limit_explanations
from injector.k8s.objects import Object, read_mapping, read_objects, read_spec
from injector.metadata_keys import STATUS_ANNOTATION
from injector.patch.app_env import (
    EnvironmentChange,
    find_outdated,
    find_present,
    measure_no_proxy,
    plan_environment,
)
from injector.patch.image_rewrites import keep_rewritten_images
from injector.patch.injection_labels import KEPT_LABELS, choose_labels, find_kept, warn_label
from injector.patch.injection_record import (
    AppContainers,
    ContainerRef,
    Records,
    build_records,
    find_app_containers,
    format_status,
    label_containers,
    read_records,
)
from injector.patch.no_proxy import check_no_proxy
from injector.patch.pod_resources import fit_resources
from injector.patch.pull_secrets import PULL_SECRETS, PullSecrets, find_pull_secrets
from injector.patch.qos import is_guaranteed
from injector.patch.reserved_names import warn_reserved_names
from injector.patch.shared_files import warn_mounted_files
from injector.patch.sidecar_resources import adjust_resources, raise_resources
from injector.patch.template import Template, fill_env
from injector.reasons import Explanation


class InjectionPlan(NamedTuple):
    """What an injection adds to what a pod's author wrote."""

    init_containers: tuple[Object, ...]
    """Podrole's, in order: they come before all others."""

    volumes: tuple[Object, ...]
    pull_secrets: PullSecrets

    environment: Mapping[ContainerRef, EnvironmentChange]
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    warnings: tuple[Explanation, ...]


def plan_injection(
    decision: Inject | Block, pod: Object, template: Template, config: Config, *, is_template: bool = False
) -> InjectionPlan:
    """Plan the injection of a pod, or of a workload's pod template, with this decision."""
    containers = find_app_containers(pod)
    environment: dict[ContainerRef, EnvironmentChange] = {}
    if isinstance(decision, Inject):
        wanted = decision.settings.sidecar_resources
        uses_node = decision.settings.reaches_node(config)
        init_containers, volumes = _build_pieces(decision, pod, template, uses_node_metadata=uses_node)
        environment = _plan_environments(containers, decision.mode, template, config)
        environment.update(_plan_without_outdated(containers, pod, decision.mode, config))
    else:
        wanted = decision.sidecar_resources
        init_containers, volumes = (template.block,), (template.token,)
    ours = keep_rewritten_images(init_containers, pod, config.image_rewrites)
    env_warnings = (warning for change in environment.values() for warning in change.warnings)
    records = build_records(pod, containers, environment)
    mode = decision.mode if isinstance(decision, Inject) else Mode.BLOCK
    pull_secrets = find_pull_secrets(pod, config.image_pull_secrets)
    apps = [container for _, container in containers]
    mounted = warn_mounted_files(pod, apps) if isinstance(decision, Inject) else ()
    added: dict[str, Sequence[str]] = {
        "initContainers": [container["name"] for container in init_containers],
        "volumes": [volume["name"] for volume in volumes],
    }
    if pull_secrets.added:
        added[PULL_SECRETS] = pull_secrets.added
    if is_template and (kept := find_kept(pod)):
        added[KEPT_LABELS] = kept
    return InjectionPlan(
        init_containers=tuple(_choose_resources(ours, pod, containers, template, wanted)),
        volumes=volumes,
        pull_secrets=pull_secrets,
        environment=environment,
        annotations={STATUS_ANNOTATION: _build_status(decision, mode, pod, added, records)},
        labels=choose_labels(pod, mode, is_template=is_template),
        warnings=limit_explanations(
            chain(decision.warnings, env_warnings, mounted, warn_label(pod, mode), warn_reserved_names(pod, apps))
        ),
    )


def _plan_environments(
    containers: AppContainers, mode: Mode, template: Template, config: Config
) -> dict[ContainerRef, EnvironmentChange]:
    environment: dict[ContainerRef, EnvironmentChange] = {}
    no_proxy_size = 0
    for ref, container in containers:
        present = find_present(container)
        if not present and not container.get("envFrom"):  # most containers
            environment[ref] = template.environment[mode]
            continue
        change = environment[ref] = plan_environment(container, present, mode, config)
        no_proxy_size += measure_no_proxy(change)
        check_no_proxy(no_proxy_size)
    return environment


def _plan_without_outdated(
    containers: AppContainers, pod: Object, mode: Mode, config: Config
) -> Iterator[tuple[ContainerRef, EnvironmentChange]]:
    """Plan containers again that have variables of an earlier injection for another mode, without these variables.

    Another webhook can change what the mode depends on, such as the scheduler, or `podrole inject` chose another one.
    """
    is_injected = STATUS_ANNOTATION in read_mapping(read_mapping(pod, "metadata"), "annotations")
    records = (read_records(pod) if is_injected else None) or {}
    for label, ref, container in label_containers(containers) if records else ():
        if label in records and (removed := find_outdated(container, records[label].added, mode, config)):
            kept = [one for index, one in enumerate(read_objects(container, "env")) if index not in removed]
            present = find_present({**container, "env": kept})
            yield ref, plan_environment(container, present, mode, config)._replace(removed=removed)


def _choose_resources(
    init_containers: Sequence[Object],
    pod: Object,
    containers: AppContainers,
    template: Template,
    wanted: Mapping[str, str],
) -> Iterator[Object]:
    """Keep the pod's QoS class, and let podrole's containers fit into resources of the pod as a whole.

    `wanted`: those of the sidecar that pod and namespace set.
    """
    has_pod_resources = bool(read_spec(pod).get("resources"))
    guaranteed = not has_pod_resources and is_guaranteed(containers)
    for container in init_containers:
        is_sidecar = container["name"] == contract.SIDECAR_CONTAINER
        resources = own = read_mapping(container, "resources")
        if guaranteed:
            resources = template.guaranteed_sidecar if is_sidecar else template.guaranteed_redirect
        if wanted:
            change = adjust_resources if is_sidecar else raise_resources
            resources = change(resources, wanted, guaranteed=guaranteed)
        if has_pod_resources:
            resources = fit_resources(resources, pod, runs_beside_others=is_sidecar)
        yield {**container, "resources": resources} if resources is not own else container


def _build_pieces(
    decision: Inject, pod: Object, template: Template, *, uses_node_metadata: bool
) -> tuple[tuple[Object, ...], tuple[Object, ...]]:
    has_host_ipc = bool(read_spec(pod).get("hostIPC"))
    run_directory = template.host_ipc_run_directory if has_host_ipc else template.run_directory
    values = _choose_values(decision, run_directory, template.metadata_paths)
    sidecar = {**template.sidecar, "env": fill_env(template.sidecar["env"], values)}
    if has_host_ipc:
        sidecar["volumeMounts"] = [*sidecar["volumeMounts"], template.host_ipc_run_mount]
    redirect = template.redirect_node if uses_node_metadata else template.redirect
    init_containers = (redirect, sidecar) if decision.mode == Mode.REDIRECT else (sidecar,)
    token = _choose_token(template, decision.settings.audience)
    return init_containers, (token, template.host_ipc_run_volume) if has_host_ipc else (token,)


def _choose_token(template: Template, audience: str) -> Object:
    """The volume of the token. Most pods share the template's."""
    projected = template.token["projected"]
    source, *others = projected["sources"]
    token = source["serviceAccountToken"]
    if token["audience"] == audience:
        return template.token
    changed = {**source, "serviceAccountToken": {**token, "audience": audience}}
    return {**template.token, "projected": {**projected, "sources": [changed, *others]}}


def _choose_values(decision: Inject, run_directory: str, metadata_paths: str | None) -> Mapping[str, str | None]:
    """The values of `template.POD_VARIABLES`. None: the sidecar's default."""
    settings = decision.settings
    return {
        contract.ENV_ROLE_ARN: _escape(decision.role_arn),
        contract.ENV_MODE: decision.mode.value,
        contract.ENV_INTERMEDIATE_ROLE: _escape(settings.intermediate_role),
        contract.ENV_METADATA_PASSTHROUGH: "true" if settings.passes_metadata else None,
        contract.ENV_METADATA_PASSTHROUGH_PATHS: metadata_paths if settings.passes_metadata else None,
        contract.ENV_RUN_DIRECTORY: run_directory,
        **{one.variable: _escape(settings.sidecar_env.get(one.variable)) for one in POD_ANNOTATIONS},
    }


def _escape(value: str | None) -> str | None:
    """Kubernetes expands $(NAME) in a value; the sidecar must get the value that was checked, such as a role's path."""
    return None if value is None else value.replace("$", "$$")


def _build_status(
    decision: Inject | Block,
    mode: Mode,
    pod: Object,
    added: Mapping[str, Sequence[str]],
    records: Records | None,
) -> str:
    status = {
        "version": contract.VERSION,
        "mode": mode,
        "role": decision.role_arn if isinstance(decision, Inject) else None,
        "reason": decision.reason.code,
    }
    return format_status(status, added, records, pod)
