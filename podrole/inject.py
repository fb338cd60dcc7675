"""`podrole inject`: what the webhook would make of manifests. Decides with the webhook's own core."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import click

import contract
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject
from injector.k8s.manifest_files import ManifestCluster
from injector.k8s.objects import Object, read_objects, read_service_account_name, read_spec
from injector.k8s.workloads import PodTemplate, find_templates
from injector.patch.json_patch import build_patch
from injector.patch.plan import Pieces, build_pieces
from podrole.context_lookup import LiveObjects, Places, find_surroundings
from podrole.diagnosis.installed_config import Settings, Setup, read_settings
from podrole.exit_codes import FOUND
from podrole.inject_result import Record
from podrole.options import cluster_options, load_setup, manifest_options, output_option, settings_options
from podrole.output import check_documents, write_results
from podrole.progress import telling
from podrole.yaml.documents import Document, naming, read_documents

EXAMPLES = """\b
Examples:
  podrole inject -f deployment.yaml --sidecar-image podrole-sidecar:0.1.0 --region eu-west-1
  podrole inject -f deployment.yaml --cluster | kubectl apply -f -
  kubectl get deployment web -o yaml | podrole inject -f - --cluster | kubectl diff -f -

\b
What a pod becomes:
  Inject  it gets its role. In mode redirect the metadata addresses lead to its sidecar; in mode env
          (where PodSecurity forbids the redirect) variables do, and the node's role stays in reach
  Block   it names no role: no credentials, and the metadata addresses are closed
  Skip    it is left as it is, and the reason says why
  Deny    it asks for something that it cannot have

If any pod is denied, no manifest is printed and the exit code is 1. `podrole --help` lists the exit codes.
"""


@click.command(epilog=EXAMPLES)
@manifest_options
@click.option(
    "--manifests",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True),
    help="More files or folders to read namespaces and ServiceAccounts from; they are not printed.",
)
@click.option(
    "--cluster",
    "is_live",
    is_flag=True,
    help="Ask the live cluster for what no manifest and no option says.",
)
@cluster_options
@click.option("-n", "--namespace", default="default", show_default=True, help="The namespace of objects without one.")
@output_option
@settings_options
def inject(filenames: Sequence[str], *, recursive: bool, namespace: str, output: str, **options: Any) -> None:
    """Print manifests as podrole's webhook would change their pods, ready for kubectl apply.

    Pods are read, and the pod templates of Deployments, StatefulSets, DaemonSets, ReplicaSets, ReplicationControllers,
    Jobs and CronJobs; everything else comes out as it went in. What became of each is told on standard error.
    """
    with telling("reading the manifests"):
        documents = read_documents(filenames, recursive=recursive)
    check_documents(documents)
    manifests = ManifestCluster()
    for document in (*read_documents(options["manifests"], recursive=recursive), *documents):
        with naming(document):
            manifests.learn(document.content, namespace)
    with ExitStack() as stack:
        live, deployed = _connect(options, stack) if options["is_live"] else (None, None)
        setup, places = load_setup(options, deployed), Places(manifests, live)
        if setup.is_template_shipped:
            click.echo("note: the injector's edited template could not be read: the shipped one is used", err=True)
        records = [*_inject_all(documents, namespace, setup, places)]
    write_results(documents, records, output)
    _tell_what_roles_need(records)
    raise SystemExit(FOUND if any(record.outcome == "Deny" for record in records) else 0)


def _connect(options: Mapping[str, Any], stack: ExitStack) -> tuple[LiveObjects, Settings | None]:
    from injector.k8s.inspection import Inspector  # noqa: PLC0415 - likewise
    from injector.k8s.kubeconfig import load_kubeconfig  # noqa: PLC0415 - likewise
    from podrole.queries import fetch_installation  # noqa: PLC0415 - imports the Kubernetes client: half a second

    inspector = stack.enter_context(Inspector(load_kubeconfig(options["kubeconfig"], options["context"])))
    snapshot = fetch_installation(inspector)
    deployment = snapshot.one("deployment")
    if deployment is None:
        why = snapshot.unread.get("deployment", "there is none")
        click.echo(f"note: no settings are taken from the injector's Deployment: {why}", err=True)
        return LiveObjects(inspector), None
    deployed = read_settings(deployment, snapshot.all("config-maps"))
    for gap in deployed.gaps:
        click.echo(f"note: settings of the injector's Deployment may be missing: {gap}", err=True)
    return LiveObjects(inspector), deployed


def _inject_all(documents: Iterable[Document], namespace: str, setup: Setup, places: Places) -> Iterator[Record]:
    for document in documents:
        with naming(document):
            for template in find_templates(document.content):
                yield _inject(document, template, template.namespace or namespace, (setup, places))


def _inject(document: Document, template: PodTemplate, namespace: str, by: tuple[Setup, Places]) -> Record:
    setup, places = by
    surroundings, notes = find_surroundings(template.pod, namespace, places)
    decision = decide(template.pod, surroundings, setup.config)
    operations: Sequence[dict[str, Any]] = ()
    changes: tuple[str, ...] = ()
    warnings = () if isinstance(decision, Deny) else decision.warnings
    if isinstance(decision, Inject | Block):
        pieces = build_pieces(decision, template.pod, setup.template, setup.config)
        operations, warnings = build_patch(template.pod, pieces).patch, pieces.warnings
        changes = tuple(_describe(pieces, template.pod)) if operations else ()
    reason, sentences = _explain(decision)
    return Record(
        document=document,
        template=template,
        namespace=namespace,
        outcome=type(decision).__name__,
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


def _describe(pieces: Pieces, pod: Object) -> Iterator[str]:
    names = [str(container["name"]) for container in pieces.init_containers]
    yield f"the init container{'s' if len(names) > 1 else ''} {' and '.join(names)}"
    for (field, index), change in pieces.environment.items():
        container = read_objects(read_spec(pod), field)[index]
        if change.additions:
            variables = ", ".join(f"{variable['name']}={variable['value']}" for variable in change.additions)
            yield f"to container {container.get('name')}: {variables}"


def _find_mode(decision: Decision) -> str | None:
    if isinstance(decision, Inject):
        return decision.mode
    return contract.MODE_BLOCK if isinstance(decision, Block) else None


def _explain(decision: Decision) -> tuple[str, tuple[str, ...]]:
    """Codes and sentences. A reason whose sentence was filled in for this pod stands among the warnings, too."""
    if isinstance(decision, Deny):
        explanations = decision.explanations
    else:
        filled_in = next((one for one in decision.warnings if one.reason is decision.reason), None)
        explanations = (filled_in or decision.reason.explain(),)
    codes = ",".join(explanation.reason.code for explanation in explanations)
    return codes, tuple(explanation.text for explanation in explanations)


def _tell_what_roles_need(records: Iterable[Record]) -> None:
    """The step that people forget: without a statement in the role's trust policy its sidecar gets no credentials."""
    users = sorted({(str(record.role), record.namespace, record.service_account) for record in records if record.role})
    if users:
        click.echo("Each role must trust its pods. To see the trust policy that it needs:", err=True)
    for role, namespace, account in users:
        click.echo(f"  podrole trust-policy {role} --namespace {namespace} --service-account {account}", err=True)
