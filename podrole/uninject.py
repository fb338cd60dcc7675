"""`podrole uninject`: takes an injection back, see `injector.patch.uninject`.

The configuration that injected is read from the pod itself: whoever takes an injection back need not know it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import click
from jsonpatch import JsonPatch
from jsonpointer import JsonPointer

import contract
from injector.config import Config
from injector.k8s.objects import Object, read_app_containers, read_objects, read_service_account_name, read_spec
from injector.k8s.workloads import PodTemplate, find_templates
from injector.patch.app_env import ENDPOINT_URL, NO_PROXIES, NO_PROXY_VALUE, REGIONS, SIDECAR_VARIABLES
from injector.patch.json_patch import Operation
from injector.patch.uninject import build_uninject_patch
from podrole.exit_codes import EXIT_FINDINGS
from podrole.inject_result import InjectResult
from podrole.options import manifest_options, output_option
from podrole.output import check_documents, write_results
from podrole.progress import progress_message
from podrole.yaml.documents import Document, error_context, read_documents

EXAMPLES = """\b
Examples:
  podrole uninject -f deployment.yaml > plain.yaml
  kubectl get deployment web -o yaml | podrole uninject -f - | kubectl apply -f -

No setting is needed. Where a variable may be podrole's and may be yours, it stays, a warning names it, and the exit
code is 1. `podrole --help` lists the exit codes.
"""


@click.command(epilog=EXAMPLES)
@manifest_options
@click.option("-n", "--namespace", default="default", show_default=True, help="The namespace of objects without one.")
@output_option
def uninject(filenames: Sequence[str], *, recursive: bool, namespace: str, output: str) -> None:
    """Print manifests without what podrole put into their pods.

    Takes `podrole inject` back, and the webhook's work in pods that were read from a cluster. Everything else comes
    out as it went in.
    """
    with progress_message("reading the manifests"):
        documents = read_documents(filenames, recursive=recursive)
    check_documents(documents)
    records = [*_uninject_all(documents, namespace)]
    write_results(documents, records, output)
    raise SystemExit(EXIT_FINDINGS if any(record.warnings for record in records) else 0)


def _uninject_all(documents: Iterable[Document], namespace: str) -> Iterator[InjectResult]:
    for document in documents:
        with error_context(document):
            for template in find_templates(document.content):
                yield _uninject(document, template, template.namespace or namespace)


def _uninject(document: Document, template: PodTemplate, namespace: str) -> InjectResult:
    operations = build_removal_of_any(template.pod)
    sentence = "What podrole put in was taken out." if operations else "There is nothing of podrole's in it."
    left = find_left_behind(template.pod, JsonPatch(operations).apply(template.pod))
    return InjectResult(
        document=document,
        template=template,
        namespace=namespace,
        outcome="Remove" if operations else "Skip",
        reason="Injected" if operations else "NotInjected",
        sentences=(sentence,),
        service_account=read_service_account_name(template.pod),
        warnings=tuple(left),
        operations=operations,
    )


def build_removal_of_any(pod: Object) -> list[Operation]:
    """The patch that takes an injection back, whatever configuration it was made with; lists that end empty go, too."""
    patches: list[list[Operation]] = [build_uninject_patch(pod, config).patch for config in _guess_configs(pod)]
    return drop_emptied(max(patches, key=_count_variables), pod)


def _guess_configs(pod: Object) -> Iterator[Config]:
    """Every configuration that can have made the pod what it is, the most common first."""
    config = Config(sidecar_image="", region=_read_sidecar_env(pod, contract.ENV_REGION) or "")
    variables = [variable for container in read_app_containers(pod) for variable in read_objects(container, "env")]
    endpoints = {str(variable.get("value")) for variable in variables if variable.get("name") == ENDPOINT_URL}
    for endpoint in (None, *sorted(endpoints)):
        for ipv6_only in (False, True):
            yield replace(config, aws_endpoint_url=endpoint, ipv6_only=ipv6_only)


def _read_sidecar_env(pod: Object, name: str) -> str | None:
    for container in read_objects(read_spec(pod), "initContainers"):
        if container.get("name") == contract.SIDECAR_CONTAINER:
            return next((str(v.get("value")) for v in read_objects(container, "env") if v.get("name") == name), None)
    return None


def _count_variables(patch: list[Operation]) -> int:
    return sum("/env/" in operation["path"] for operation in patch)


def drop_emptied(operations: list[Operation], pod: Object) -> list[Operation]:
    """Where a removal empties a list or an object, remove that instead: the author had none there."""
    while emptied := _find_emptied(operations, pod):
        dropped: list[Operation] = []
        for operation in operations:
            parent = operation["path"].rpartition("/")[0]
            if operation["op"] != "remove" or parent not in emptied:
                dropped.append(operation)
            elif {"op": "remove", "path": parent} not in dropped:
                dropped.append({"op": "remove", "path": parent})
        operations = dropped
    return operations


def _find_emptied(operations: list[Operation], pod: Object) -> set[str]:
    after = JsonPatch(operations).apply(pod)
    parents = {operation["path"].rpartition("/")[0] for operation in operations if operation["op"] == "remove"}
    return {parent for parent in parents - {"", "/spec"} if not JsonPointer(parent).resolve(after)}


def find_left_behind(pod: Object, taken: Object) -> Iterator[str]:
    """What may be podrole's in the containers of an injected pod, after the removal, and was left."""
    region = _read_sidecar_env(pod, contract.ENV_REGION)
    if region is None:
        return
    for before, after in zip(read_app_containers(pod), read_app_containers(taken), strict=True):
        env = {str(variable.get("name")): variable.get("value") for variable in read_objects(after, "env")}
        names = [name for name in SIDECAR_VARIABLES if env.get(name) == SIDECAR_VARIABLES[name]]
        names += [name for name in NO_PROXIES if NO_PROXY_VALUE in str(env.get(name))]
        if before.get("env") == after.get("env") and all(env.get(name) == region for name in REGIONS):
            names += REGIONS
        if names:
            doubt = "podrole may have added that, but not in this place or with this value"
            kept = f'Container "{after.get("name")}" keeps {", ".join(names)}'
            yield f"{kept}: {doubt}. Remove it by hand if it is not yours."
