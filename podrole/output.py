"""Writes documents and records out: manifests or JSON to standard output, what a person should know to the other."""

import copy
import json
from collections.abc import Sequence

import click
from jsonpatch import JsonPatch

from injector.errors import ConfigError
from podrole.inject_result import InjectResult, build_record_document, format_record, prefix_operations
from podrole.progress import progress_message
from podrole.yaml.documents import Document, join_documents
from podrole.yaml.rewrite import rewrite


def check_documents(documents: Sequence[Document]) -> None:
    """An empty input is a mistake: a pipe whose first half failed."""
    if not any(document.content is not None for document in documents):
        raise ConfigError("there is nothing in the input: no document in any file")


def write_results(documents: Sequence[Document], records: Sequence[InjectResult], output: str) -> None:
    """Write all out. A denied pod keeps every manifest back: half of a set must not be applied."""
    is_denied = any(record.outcome == "Deny" for record in records)
    if output == "json":
        click.echo(json.dumps([build_record_document(record) for record in records], indent=2, ensure_ascii=False))
    elif not is_denied:
        with progress_message(f"writing {len(documents)} documents"):
            texts = [_rewrite(document, records) for document in documents]
        click.echo(join_documents(documents, texts), nl=False)
    for record in records:
        click.echo(format_record(record), err=True)
    if not records:
        click.echo("no pod and no workload is among the manifests: they were printed as they are", err=True)
    if is_denied and output != "json":
        click.echo("A pod is denied, so no manifest was printed.", err=True)


def _rewrite(document: Document, records: Sequence[InjectResult]) -> str:
    operations = [
        operation
        for record in records
        if record.document is document
        for operation in prefix_operations((*record.template.place, *record.template.path), record.operations)
    ]
    return (
        rewrite(document, JsonPatch(copy.deepcopy(operations)).apply(document.content)) if operations else document.text
    )
