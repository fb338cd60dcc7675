"""What became of each pod template: one record, as a program reads it and as a person does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from injector.k8s.objects import JsonPath
from injector.k8s.workloads import PodTemplate
from injector.patch.json_patch import Operation, build_pointer
from podrole.yaml.documents import Document


@dataclass(frozen=True)
class InjectResult:
    """What became of one pod template."""

    document: Document
    template: PodTemplate
    namespace: str
    outcome: str
    """Inject, Block, Skip or Deny; Remove where an injection is taken back."""

    reason: str
    """Codes of `injector.reasons`, with a comma between them."""

    sentences: tuple[str, ...]
    """Why: the reason's sentence, or all that speaks against the pod."""

    mode: str | None = None
    role: str | None = None
    service_account: str = "default"
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the person should know about how this was decided."""

    changes: tuple[str, ...] = ()
    """What is in the patch, in words."""

    operations: Sequence[Operation] = ()
    """The JSON Patch, from the root of the pod or the template."""

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.template.kind} {self.namespace}/{self.template.name}"


def prefix_operations(path: JsonPath, operations: Sequence[Operation]) -> list[Operation]:
    """The operations from another root, in which the object is at a path."""
    return [{**operation, "path": build_pointer(path) + operation["path"]} for operation in operations]


def build_record_document(record: InjectResult) -> dict[str, Any]:
    """Build what `--output json` shows of it."""
    return {
        "file": record.document.file,
        "document": record.document.number,
        "kind": record.template.kind,
        "namespace": record.namespace,
        "name": record.template.name,
        "outcome": record.outcome,
        "reason": record.reason,
        "message": " ".join(record.sentences),
        "mode": record.mode,
        "role": record.role,
        "warnings": [*record.warnings],
        "notes": [*record.notes],
        "patch": prefix_operations(record.template.path, record.operations),
    }


def format_record(record: InjectResult) -> str:
    """Format it for a person: a line, and one more for each thing that should be known."""
    return "\n".join(_format(record))


def _format(record: InjectResult) -> Iterator[str]:
    how = ", ".join(filter(None, [record.mode and f"mode {record.mode}", record.role and f"role {record.role}"]))
    known = f"{record.outcome}{f' ({how})' if how else ''}"
    unchanged = "" if record.operations or record.outcome in {"Deny", "Skip"} else " Nothing had to be changed."
    first, *more = record.sentences
    yield f"{record.document.where}: {record.label}"
    yield f"  {known}: {first}{unchanged}"
    yield from (f"  and: {sentence}" for sentence in more)
    yield from (f"  adds {change}" for change in record.changes)
    yield from (f"  warning: {warning}" for warning in record.warnings)
    yield from (f"  note: {note}" for note in record.notes)
