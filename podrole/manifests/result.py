"""The result for one pod template, and how `--output json` and the report on standard error show it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from injector.decision.outcomes import Outcome
from injector.k8s.objects import JsonPath
from injector.k8s.workloads import PodTemplate
from injector.patch.json_patch import Operation, build_pointer
from podrole.estate.unknown_templates import UnchangedObject
from podrole.yaml.documents import Document


@dataclass(frozen=True)
class InjectResult:
    """The result for one pod template."""

    document: Document
    template: PodTemplate
    namespace: str
    outcome: str
    """Inject, Block, Skip or Deny; Remove or Skip for `uninject`."""

    reason: str
    """Codes of `injector.reasons`, separated by commas, or one of `podrole.estate.unknown_templates`."""

    sentences: tuple[str, ...]
    """The reason's sentence, or one for each reason to deny the pod."""

    mode: str | None = None
    role: str | None = None
    service_account: str = "default"
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be looked up for the decision, and what else to do."""

    changes: tuple[str, ...] = ()
    """What the patch adds, in words."""

    operations: Sequence[Operation] = ()
    """The JSON Patch, relative to the pod or the pod template."""

    @property
    def label(self) -> str:
        """Kind, namespace and name."""
        return f"{self.template.kind} {self.namespace}/{self.template.name}"


def build_unchanged_result(
    document: Document, unchanged: UnchangedObject, namespace: str, notes: tuple[str, ...] = ()
) -> InjectResult:
    """Report an object whose pods are made from something that the command does not change."""
    return InjectResult(
        document=document,
        template=unchanged.template,
        namespace=unchanged.template.namespace or namespace,
        outcome=Outcome.SKIP,
        reason=unchanged.reason,
        sentences=(unchanged.sentence,),
        notes=(unchanged.remedy, *notes) if unchanged.remedy else notes,
    )


def prefix_operations(path: JsonPath, operations: Sequence[Operation]) -> list[Operation]:
    """Make operations relative to a document in which the object is at this path."""
    return [{**operation, "path": build_pointer(path) + operation["path"]} for operation in operations]


def build_result_document(result: InjectResult) -> dict[str, Any]:
    """Build the result for `--output json`."""
    return {
        "file": result.document.file,
        "document": result.document.number,
        "kind": result.template.kind,
        "namespace": result.namespace,
        "name": result.template.name,
        "outcome": result.outcome,
        "reason": result.reason,
        "message": " ".join(result.sentences),
        "mode": result.mode,
        "role": result.role,
        "warnings": [*result.warnings],
        "notes": [*result.notes],
        "patch": prefix_operations(result.template.template_path, result.operations),
    }


def format_result(result: InjectResult) -> str:
    """Format the result as lines of the report."""
    return "\n".join(_format(result))


def _format(result: InjectResult) -> Iterator[str]:
    details = ", ".join(filter(None, [result.mode and f"mode {result.mode}", result.role and f"role {result.role}"]))
    outcome = f"{result.outcome}{f' ({details})' if details else ''}"
    unchanged = "" if result.operations or result.outcome in {Outcome.DENY, Outcome.SKIP} else " No change was needed."
    first, *more = result.sentences
    yield f"{result.document.location}: {result.label}"
    yield f"  {outcome}: {first}{unchanged}"
    yield from (f"  and: {sentence}" for sentence in more)
    yield from (f"  adds {change}" for change in result.changes)
    yield from (f"  warning: {warning}" for warning in result.warnings)
    yield from (f"  note: {note}" for note in result.notes)
