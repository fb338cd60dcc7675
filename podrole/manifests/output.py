"""Writes manifests or JSON to standard output, and a report about each pod to standard error."""

import copy
from collections.abc import Sequence

from jsonpatch import JsonPatch

from injector.decision.outcomes import Outcome
from podrole.findings import format_number
from podrole.manifests.result import InjectResult, build_result_document, format_result, prefix_operations
from podrole.progress import progress_message
from podrole.terminal import write, write_json, write_manifests
from podrole.yaml.documents import Document, join_documents
from podrole.yaml.rewrite import rewrite


def write_results(documents: Sequence[Document], results: Sequence[InjectResult], output: str) -> None:
    """Write manifests or JSON, then the report. If a pod is denied, no manifest: half of a set must not be applied."""
    is_denied = any(result.outcome == Outcome.DENY for result in results)
    if output == "json":
        write_json([build_result_document(result) for result in results])
    elif not is_denied:
        with progress_message(f"writing {format_number(len(documents), 'document')}"):
            texts = [_rewrite(document, results) for document in documents]
        write_manifests(join_documents(documents, texts))
    for result in results:
        write(format_result(result), is_error=True)
    if not results:
        write("The manifests contain no pods or workloads. They were printed unchanged.", is_error=True)
    if is_denied and output != "json":
        write("A pod is denied, so no manifest was printed.", is_error=True)


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
