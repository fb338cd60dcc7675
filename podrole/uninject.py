"""`podrole uninject`: takes an injection out of manifests again."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from injector.decision.outcomes import Outcome
from injector.k8s.objects import read_service_account_name
from injector.k8s.workload_kinds import Kinds
from injector.k8s.workloads import PodTemplate, find_templates
from injector.patch.app_env import ADDED_VARIABLES
from injector.patch.uninject import Uninjection, plan_uninjection
from podrole.estate.unknown_templates import UNKNOWN_POD_TEMPLATE, find_unchanged
from podrole.exit_codes import EXIT_FINDINGS
from podrole.manifests.empty_fields import restore_empty_fields
from podrole.manifests.error_context import error_context
from podrole.manifests.input import load_input
from podrole.manifests.output import write_results
from podrole.manifests.result import InjectResult, build_unchanged_result
from podrole.options import default_namespace_option, load_kinds, manifest_options, output_option, template_path_option
from podrole.yaml.documents import Document

EXAMPLES = """\b
Examples:
  podrole uninject -f deployment.yaml > plain.yaml
  kubectl get deployment web -o yaml | podrole uninject -f - | kubectl apply -f -

No settings are needed: the annotation podrole.io/status lists what was added. A variable that was changed after the
injection stays, a warning names it, and the exit code is 1. `podrole --help` lists the exit codes.
"""


@click.command(epilog=EXAMPLES)
@manifest_options
@default_namespace_option
@template_path_option
@output_option
def uninject(filenames: Sequence[str], *, recursive: bool, namespace: str, output: str, **options: Any) -> None:
    """Print manifests without what podrole added to their pods.

    Reverts `podrole inject`, and the webhook's changes in pods that were read from a cluster. All other content is
    printed unchanged.
    """
    documents = load_input(filenames, recursive=recursive)
    results = [*_uninject_all(documents, namespace, load_kinds(options))]
    write_results(documents, results, output)
    raise SystemExit(EXIT_FINDINGS if any(result.warnings for result in results) else 0)


def _uninject_all(documents: Iterable[Document], namespace: str, kinds: Kinds) -> Iterator[InjectResult]:
    for document in documents:
        with error_context(document.location):
            for template in find_templates(document.content, kinds):
                yield _uninject(document, template, template.namespace or namespace)
            for unchanged in find_unchanged(document.content, kinds):
                if unchanged.reason == UNKNOWN_POD_TEMPLATE:
                    yield build_unchanged_result(document, unchanged, namespace)


def _uninject(document: Document, template: PodTemplate, namespace: str) -> InjectResult:
    uninjection = plan_uninjection(template.pod, is_template=bool(template.template_path))
    operations = [*restore_empty_fields(template.pod, uninjection.operations)]
    return InjectResult(
        document=document,
        template=template,
        namespace=namespace,
        outcome="Remove" if operations else Outcome.SKIP,
        reason="Injected" if operations else "NotInjected",
        sentences=("What podrole added was removed." if operations else "Podrole added nothing to it.",),
        service_account=read_service_account_name(template.pod),
        warnings=tuple(_describe_kept_variables(uninjection)),
        operations=operations,
    )


def _describe_kept_variables(uninjection: Uninjection) -> Iterator[str]:
    if not uninjection.is_recorded:
        yield (
            "The annotation podrole.io/status does not list the variables that podrole added, so none was removed. "
            f"Remove by hand those that are not yours: {', '.join(sorted(ADDED_VARIABLES))}."
        )
    for container, name in uninjection.changed_variables:
        yield (
            f'Container "{container}" keeps {name}, which was changed after the injection. '
            "Remove it by hand if it is not yours."
        )
