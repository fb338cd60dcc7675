"""Reads YAML as kubectl does, and writes YAML that every parser reads in the same way.

To PyYAML, which follows YAML 1.1, `22:22` is a number in base 60 and `2024-01-01` a date; to kubectl both are strings.
https://github.com/kubernetes-sigs/yaml
"""

import re
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # without libyaml PyYAML does the same, ten times slower
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment] # both have the methods used here

INT, FLOAT, BOOL = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"
TIMESTAMP = "tag:yaml.org,2002:timestamp"
VALUE = "tag:yaml.org,2002:value"
"""Of a single `=`, which is a string to kubectl."""

INTEGER = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)\Z")
NUMBER = re.compile(r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
LETTER = re.compile(r"[yYnN]\Z")

MAX_NODES = 1_000_000
"""With aliases expanded. An object in etcd has at most 1.5 MiB."""


class Loader(_SafeLoader):
    """Reads YAML as kubectl does; refuses duplicate keys."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build a mapping from a node."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value} appears twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """Quotes every string that some parser could read as another type; writes no anchors."""

    is_indented = False

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Indent lists as their key, or by two more where the rest of the file does."""
        super().increase_indent(flow, indentless and not self.is_indented)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Expand all aliases."""
        return True


class IndentedDumper(Dumper):
    """A Dumper that indents lists by two more than their key."""

    is_indented = True


def _without(*tags: str) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
    return {first: [rule for rule in rules if rule[0] not in tags] for first, rules in resolvers.items()}


Loader.yaml_implicit_resolvers = _without(INT, FLOAT, TIMESTAMP, VALUE)
Dumper.yaml_implicit_resolvers = _without()
for _class in (Loader, Dumper):
    _class.add_implicit_resolver(INT, INTEGER, list("-+0123456789"))
    _class.add_implicit_resolver(FLOAT, NUMBER, list("-+0123456789."))
Dumper.add_implicit_resolver(BOOL, LETTER, list("yYnN"))


def compose(text: str) -> Node | None:
    """Parse one document into nodes with their positions; None if it is empty. Raises yaml.YAMLError."""
    try:
        node: Node | None = yaml.compose(text, Loader)
        if node is not None:
            _count_nodes(node, {})
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    return node


def construct(node: Node) -> Any:
    """Return the value of a node. Raises yaml.YAMLError."""
    loader = Loader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def load(text: str) -> Any:
    """Return the value of one document; None if it is empty. Raises yaml.YAMLError."""
    node = compose(text)
    return None if node is None else construct(node)


def _count_nodes(node: Node, known: dict[int, int | None]) -> int:
    """Count the nodes with aliases expanded: ten lines of aliases can expand to more than fits in memory."""
    if not isinstance(node, CollectionNode):
        return 1
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise yaml.YAMLError("an alias contains itself")
        return size
    known[id(node)] = None
    children = [child for pair in node.value for child in pair] if isinstance(node, MappingNode) else node.value
    total = 1 + sum(_count_nodes(child, known) for child in children)
    if total > MAX_NODES:
        raise yaml.YAMLError("its aliases expand to more than any Kubernetes object can hold")
    known[id(node)] = total
    return total


def write(value: Any, *, is_indented: bool) -> str:
    """Write a value as lines of block YAML."""
    dumper = IndentedDumper if is_indented else Dumper
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text


def write_scalar(value: Any, style: str | None) -> str:
    """Write one scalar on one line, in this style if possible."""
    if "\n" in str(value):
        style = '"'
    elif style in {"|", ">"}:
        style = None
    text: str = yaml.dump(value, Dumper=Dumper, default_style=style, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n").rstrip("\n")


def reformat(node: Node) -> str:
    """Write a document in block style: scalars keep their form, comments are lost, aliases are expanded."""
    loader = Loader("")
    try:
        text: str = yaml.serialize(_expand(node, loader), Dumper=Dumper, allow_unicode=True, width=float("inf"))
    finally:
        loader.dispose()
    return text


def _expand(node: Node, loader: Loader) -> Node:
    if isinstance(node, MappingNode):
        flat = MappingNode(node.tag, list(node.value))
        loader.flatten_mapping(flat)
        pairs = {(key.tag, str(key.value)): (key, value) for key, value in flat.value}
        expanded = [(_expand(key, loader), _expand(value, loader)) for key, value in pairs.values()]
        return MappingNode(node.tag, expanded, flow_style=not expanded)
    if isinstance(node, SequenceNode):
        return SequenceNode(node.tag, [_expand(item, loader) for item in node.value], flow_style=not node.value)
    return ScalarNode(node.tag, node.value, style=getattr(node, "style", None))
