"""Writes manifests or JSON to standard output, and a report about each pod to standard error."""

import copy
import json
from collections.abc import Sequence

import click
from jsonpatch import JsonPatch

from injector.decision.outcomes import Outcome
from injector.errors import ConfigError
from podrole.inject_result import InjectResult, build_result_document, format_result, prefix_operations
from podrole.progress import progress_message
from podrole.yaml.documents import Document, join_documents
from podrole.yaml.rewrite import rewrite


def check_documents(documents: Sequence[Document]) -> None:
    """Raise ConfigError if the input is empty, which usually means that the first command of a pipe failed."""
    if not any(document.text.strip() for document in documents):
        raise ConfigError("the input is empty")


def write_results(documents: Sequence[Document], results: Sequence[InjectResult], output: str) -> None:
    """Write manifests or JSON, then the report. If a pod is denied, no manifest: half of a set must not be applied."""
    is_denied = any(result.outcome == Outcome.DENY for result in results)
    if output == "json":
        click.echo(json.dumps([build_result_document(result) for result in results], indent=2, ensure_ascii=False))
    elif not is_denied:
        with progress_message(f"writing {len(documents)} documents"):
            texts = [_rewrite(document, results) for document in documents]
        click.echo(join_documents(documents, texts), nl=False)
    for result in results:
        click.echo(format_result(result), err=True)
    if not results:
        click.echo("The manifests contain no pods or workloads. They were printed unchanged.", err=True)
    if is_denied and output != "json":
        click.echo("A pod is denied, so no manifest was printed.", err=True)


def _rewrite(document: Document, results: Sequence[InjectResult]) -> str:
    operations = [
        operation
        for result in results
        if result.document is document
        for operation in prefix_operations(result.template.document_path, result.operations)
    ]
    return (
        rewrite(document, JsonPatch(copy.deepcopy(operations)).apply(document.content)) if operations else document.text
    )
