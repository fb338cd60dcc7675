"""Reads single fields of an XML document, by expat, with limits. Entities and document types are refused."""

from collections.abc import Container, Mapping
from pyexpat import ExpatError, ParserCreate

MAX_DEPTH = 16
_NAMESPACE_SEPARATOR = " "


class FieldError(ValueError):
    """A field is not acceptable."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
        self.problem = problem


def read_fields(document: bytes, paths: Mapping[str, str], leaves: Container[str] = ()) -> dict[str, str]:
    """Return the text of elements by their names in `paths`; raise ValueError if the document is not acceptable.

    A path starts below the root and has no namespaces: `Error/Code`. Fields that the document lacks are left out.
    Text after the first child of an element does not count; fields in `leaves` must have none.
    """
    reader = _FieldReader(paths, leaves)
    parser = ParserCreate("utf-8", _NAMESPACE_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add_text
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(document, True)  # noqa: FBT003 - expat's own signature
    except ExpatError as error:  # its message has only a position, but the document may contain a key
        raise ValueError("not well-formed XML") from error
    return {name: "".join(parts) for name, parts in reader.found.items()}


def _refuse_document_type(*_: object) -> None:
    raise ValueError("a document type, which could define entities")


class _FieldReader:
    def __init__(self, paths: Mapping[str, str], leaves: Container[str]) -> None:
        self._paths = paths
        self._leaves = leaves
        self._open: list[str] = []
        self._name: str | None = None
        """Of the field whose text is read."""

        self.found: dict[str, list[str]] = {}

    def start(self, tag: str, _attributes: object) -> None:
        self._open.append(tag.rpartition(_NAMESPACE_SEPARATOR)[2])
        if len(self._open) > MAX_DEPTH:
            raise ValueError(f"elements in more than {MAX_DEPTH} others")
        if self._name and self._name in self._leaves:
            raise FieldError(self._name, "contains other elements")
        self._name = self._paths.get("/".join(self._open[1:]))
        if self._name in self.found:
            raise FieldError(self._name, "is there more than once")
        if self._name:
            self.found[self._name] = []

    def end(self, _tag: str) -> None:
        self._open.pop()
        self._name = None

    def add_text(self, text: str) -> None:
        if self._name:
            self.found[self._name].append(text)
