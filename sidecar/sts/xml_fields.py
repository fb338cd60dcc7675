"""Reads single fields of an XML document, by expat, with limits. Entities and document types are refused."""

from collections.abc import Mapping
from pyexpat import ExpatError, ParserCreate

MAX_DEPTH = 16
_NAMESPACE_SEPARATOR = " "


def read_fields(document: bytes, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the text of elements by their names in `paths`; raise ValueError if the document is not acceptable.

    A path starts below the root and has no namespaces: `Error/Code`. Fields that the document lacks are left out.
    Text after the first child of an element does not count.
    """
    reader = _FieldReader(paths)
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
    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths
        self._open: list[str] = []
        self._field: list[str] | None = None
        self.found: dict[str, list[str]] = {}

    def start(self, tag: str, _attributes: object) -> None:
        self._open.append(tag.rpartition(_NAMESPACE_SEPARATOR)[2])
        if len(self._open) > MAX_DEPTH:
            raise ValueError(f"elements in more than {MAX_DEPTH} others")
        self._field = None
        name = self._paths.get("/".join(self._open[1:]))
        if name in self.found:
            raise ValueError("a field more than once")
        if name:
            self._field = self.found[name] = []

    def end(self, _tag: str) -> None:
        self._open.pop()
        self._field = None

    def add_text(self, text: str) -> None:
        if self._field is not None:
            self._field.append(text)
