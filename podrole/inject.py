"""`podrole inject`: changes the pods of manifests as the webhook would, with the webhook's own code."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import reduce
from operator import getitem
from typing import Any

import click

from contract.modes import Mode
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject, Outcome
from injector.decision.unknown_annotations import find_workload_keys
from injector.k8s.manifest_files import ManifestReader
from injector.k8s.objects import Object, read_objects, read_service_account_name, read_spec
from injector.k8s.workload_kinds import Kinds, remove_paths
from injector.k8s.workloads import PodTemplate, find_templates
from injector.patch.json_patch import Operation, build_patch
from injector.patch.plan import InjectionPlan, plan_injection
from podrole.diagnosis.state.installed_config import DeployedEnv, EffectiveConfig
from podrole.estate.unknown_templates import BY_WEBHOOK, find_unchanged
from podrole.exit_codes import EXIT_FINDINGS
from podrole.manifests.context_lookup import ClusterMetadata, ContextLookup, find_cluster_context
from podrole.manifests.empty_fields import record_empty_fields
from podrole.manifests.error_context import error_context
from podrole.manifests.input import load_input
from podrole.manifests.output import write_results
from podrole.manifests.result import InjectResult, build_unchanged_result
from podrole.options import (
    cluster_options,
    default_namespace_option,
    load_effective_config,
    load_kinds,
    manifest_options,
    output_option,
    settings_options,
    template_path_option,
)
from podrole.terminal import write
from podrole.yaml.documents import Document, load_documents

EXAMPLES = """\b
Examples:
  podrole inject -f deployment.yaml --sidecar-image podrole-sidecar:0.1.0 --region eu-west-1
  podrole inject -f deployment.yaml --cluster | kubectl apply -f -
  kubectl get deployment web -o yaml | podrole inject -f - --cluster | kubectl diff -f -

\b
Outcomes:
  Inject  the pod gets its role. In redirect mode the metadata addresses lead to its sidecar; in env mode
          (where PodSecurity forbids the redirect) variables do, and the node's role stays reachable
  Block   the pod has no role: it gets no credentials, and the metadata addresses are blocked
  Skip    the pod is unchanged; the reason follows
  Deny    the webhook would refuse the pod; the reasons follow

If any pod is denied, no manifest is printed and the exit code is 1. `podrole --help` lists the exit codes.
"""


@click.command(epilog=EXAMPLES)
@manifest_options
@click.option(
    "--manifests",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True),
    help="More files or directories to read namespaces and ServiceAccounts from. They are not printed.",
)
@click.option(
    "--cluster",
    "is_live",
    is_flag=True,
    help="Look up in the live cluster what neither manifests nor options specify.",
)
@cluster_options
@default_namespace_option
@template_path_option
@output_option
@settings_options
def inject(filenames: Sequence[str], *, recursive: bool, namespace: str, output: str, **options: Any) -> None:
    """Print manifests as podrole's webhook would change their pods, ready for kubectl apply.

    Changes Pods, and the pod templates of Kubernetes' workloads and of many custom kinds, such as Argo Rollouts
    (docs/cli.md lists them). Everything else is printed unchanged. A report about each goes to standard error, with a
    note about each object that seems to have a pod template that podrole does not know.
    """
    documents = load_input(filenames, recursive=recursive)
    kinds = load_kinds(options)
    manifests = ManifestReader()
    for document in (*load_documents(options["manifests"], recursive=recursive), *documents):
        with error_context(document.location):
            manifests.add(document.content, namespace)
    with ExitStack() as stack:
        live, deployed = _connect(options, stack) if options["is_live"] else (None, None)
        config, lookup = load_effective_config(options, deployed), ContextLookup(manifests, live)
        if config.is_template_shipped:
            write("note: the injector's custom template could not be read; the default template is used", is_error=True)
        results = [*_inject_all(documents, namespace, kinds, (config, lookup))]
    write_results(documents, results, output)
    _print_trust_policy_commands(results)
    raise SystemExit(EXIT_FINDINGS if any(result.outcome == Outcome.DENY for result in results) else 0)


def _connect(options: Mapping[str, Any], stack: ExitStack) -> tuple[ClusterMetadata, DeployedEnv | None]:
    from injector.k8s.client import ApiClient  # noqa: PLC0415 - as below
    from injector.k8s.kubeconfig import load_kubeconfig  # noqa: PLC0415 - as below
    from podrole.cluster.queries import fetch_installation  # noqa: PLC0415 - imports the Kubernetes client: half a second

    client = stack.enter_context(ApiClient(load_kubeconfig(options["kubeconfig"], options["context"])))
    installation = fetch_installation(client)
    deployed = installation.deployed_env
    if deployed is None:
        why = installation.deployment.error or "there is none"
        write(f"note: no settings are taken from the injector's Deployment: {why}", is_error=True)
        return ClusterMetadata(client), None
    for gap in deployed.gaps:
        write(f"note: settings of the injector's Deployment may be missing: {gap}", is_error=True)
    return ClusterMetadata(client), deployed


def _inject_all(
    documents: Iterable[Document], namespace: str, kinds: Kinds, webhook: tuple[EffectiveConfig, ContextLookup]
) -> Iterator[InjectResult]:
    injectable = remove_paths(kinds)
    for document in documents:
        with error_context(document.location):
            for template in find_templates(document.content, injectable):
                result = _inject(document, template, template.namespace or namespace, *webhook)
                yield replace(result, warnings=(*result.warnings, *_warn_workload_keys(document, template)))
            for unchanged in find_unchanged(document.content, kinds):
                yield build_unchanged_result(document, unchanged, namespace, (BY_WEBHOOK,))


def _warn_workload_keys(document: Document, template: PodTemplate) -> Iterator[str]:
    if not template.template_path:  # a pod
        return
    workload = reduce(getitem, template.object_path, document.content)
    path = ".".join(map(str, (*template.template_path, "metadata")))
    for explanation in find_workload_keys(workload, template.kind, template.pod, path):
        yield explanation.text


def _inject(
    document: Document, template: PodTemplate, namespace: str, effective: EffectiveConfig, lookup: ContextLookup
) -> InjectResult:
    cluster_context, notes = find_cluster_context(template.pod, namespace, lookup)
    decision = decide(template.pod, cluster_context, effective.config)
    operations: Sequence[Operation] = ()
    changes: tuple[str, ...] = ()
    warnings = decision.warnings
    if isinstance(decision, Inject | Block):
        plan = plan_injection(
            decision, template.pod, effective.template, effective.config, is_template=bool(template.template_path)
        )
        operations = record_empty_fields(template.pod, build_patch(template.pod, plan).patch)
        warnings = plan.warnings
        changes = tuple(_describe(plan, template.pod)) if operations else ()
    reason, sentences = _explain(decision)
    return InjectResult(
        document=document,
        template=template,
        namespace=namespace,
        outcome=decision.outcome,
        reason=reason,
        sentences=sentences,
        mode=_find_mode(decision),
        role=decision.role_arn if isinstance(decision, Inject) else None,
        service_account=read_service_account_name(template.pod),
        warnings=tuple(warning.text for warning in warnings if warning.text not in sentences),
        notes=notes,
        changes=changes,
        operations=operations,
    )


def _describe(plan: InjectionPlan, pod: Object) -> Iterator[str]:
    names = [str(container["name"]) for container in plan.init_containers]
    yield f"the init container{'s' if len(names) > 1 else ''} {' and '.join(names)}"
    for (field, index), change in plan.environment.items():
        container = read_objects(read_spec(pod), field)[index]
        if change.additions:
            variables = ", ".join(f"{name}={value}" for name, value in change.additions.items())
            yield f"to container {container.get('name')}: {variables}"


def _find_mode(decision: Decision) -> str | None:
    if isinstance(decision, Inject):
        return decision.mode
    return Mode.BLOCK if isinstance(decision, Block) else None


def _explain(decision: Decision) -> tuple[str, tuple[str, ...]]:
    """Codes and sentences. A sentence that names values of this pod is among the warnings."""
    if isinstance(decision, Deny):
        explanations = decision.explanations
    else:
        filled_in = next((one for one in decision.warnings if one.reason is decision.reason), None)
        explanations = (filled_in or decision.reason.explain(),)
    codes = ",".join(explanation.reason.code for explanation in explanations)
    return codes, tuple(explanation.text for explanation in explanations)


def _print_trust_policy_commands(results: Iterable[InjectResult]) -> None:
    """Print the step that is often forgotten: STS gives no credentials until the role's trust policy allows it."""
    users = sorted({(str(result.role), result.namespace, result.service_account) for result in results if result.role})
    if users:
        write("Each role must trust its pods. To print the trust policy that a role needs:", is_error=True)
    for role, namespace, account in users:
        words = ("podrole", "trust-policy", role, "--namespace", namespace, "--service-account", account)
        write(f"  {shlex.join(words)}", is_error=True)
