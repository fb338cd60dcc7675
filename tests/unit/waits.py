"""Finds in the code what waits: calls without a limit, and limits that are written as numbers."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from testing.repository import ROOT

PACKAGES = ("contract", "server", "sidecar", "injector", "podrole")
DEADLINES = "deadlines.py"

FIRST_IS_TIME = {"sleep", "wait", "join", "settimeout", "setdefaulttimeout", "select", "poll", "finish", "Timeout"}
"""Their first argument is a time."""

TIMED = {"wait", "join", "get", "select", "poll"}
"""They wait for ever without arguments: of events, threads, processes, queues, selectors."""

TIMEOUT_KEYWORD = {
    "run",
    "check_output",
    "check_call",
    "call",
    "communicate",
    "create_connection",
    "urlopen",
    "request",
}
"""They wait for ever without a `timeout`: of subprocess, socket and urllib3."""

OWNERS = {"subprocess", "socket", "pool", "_pool", "urllib3", "process"}
"""Whose `run`, `request` and so on it is."""

ENDLESS = {"waitpid", "waitid", "wait4", "getaddrinfo", "gethostbyname", "lockf", "acquire", "put"}
"""They have no limit, or one that is easily left out."""


class Wait(NamedTuple):
    """A call that has no limit of its own."""

    path: str
    function: str
    """With its classes; of a lock the class only."""

    code: str


def read_modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the packages, with its path in the repository."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text())


def walk(node: ast.AST, scope: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """All nodes, each with the name of its function."""
    for child in ast.iter_child_nodes(node):
        yield ".".join(scope), child
        is_scope = isinstance(child, ast.FunctionDef | ast.ClassDef)
        yield from walk(child, (*scope, child.name) if is_scope else scope)  # type: ignore[attr-defined] # checked


def find_unlimited(path: str, module: ast.Module) -> Iterator[Wait]:
    """The calls of a module that wait without a limit of their own."""
    for function, node in walk(module):
        if isinstance(node, ast.Call) and is_unlimited(node):
            yield Wait(path, function, ast.unparse(node.func))
        elif isinstance(node, ast.With):
            locks = [item.context_expr for item in node.items if "_lock" in ast.unparse(item.context_expr)]
            yield from (
                Wait(path, function.partition(".")[0], ast.unparse(lock))
                for lock in locks
                if isinstance(lock, ast.Attribute)
            )


def is_unlimited(call: ast.Call) -> bool:
    """Whether a call can wait for ever."""
    owner, _, name = ast.unparse(call.func).rpartition(".")
    keywords = {keyword.arg for keyword in call.keywords}
    is_none = any(isinstance(argument, ast.Constant) and argument.value is None for argument in call.args)
    if name in ENDLESS:
        return not (name == "put" and ast.unparse(call).endswith("block=False)"))
    if name in TIMEOUT_KEYWORD and owner.rpartition(".")[2] in OWNERS:
        return "timeout" not in keywords
    if name == "read" and owner == "os":
        return "stdin" in ast.unparse(call)
    if name == "flock":
        return "LOCK_NB" not in ast.unparse(call)
    if name == "settimeout":
        return is_none
    return bool(owner) and name in TIMED and not call.args and not keywords & {"timeout", "timeout_seconds"}


def find_numbers(path: str, module: ast.Module) -> Iterator[str]:
    """The limits of a module that are written as numbers."""
    for function, node in walk(module):
        where = f"{path}: {function}: " if function else f"{path}: "
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            first = [node.args[0]] if name in FIRST_IS_TIME and node.args else []
            named = [keyword.value for keyword in node.keywords if is_time(keyword.arg)]
            if any(map(is_number, first + named)):
                yield where + ast.unparse(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            [target, *_] = node.targets if isinstance(node, ast.Assign) else [node.target]
            if is_time(ast.unparse(target)) and node.value is not None and is_number(node.value):
                yield where + ast.unparse(target)
        elif isinstance(node, ast.FunctionDef):
            yield from (where + f"{node.name}({name})" for name in find_defaults(node.args))


def find_defaults(arguments: ast.arguments) -> Iterator[str]:
    """The parameters that are a time and have a number as their default."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)
    for argument, default in [*defaults, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]:
        if default is not None and is_time(argument.arg) and is_number(default):
            yield argument.arg


def is_time(name: str | None) -> bool:
    """Whether a name is that of a time."""
    words = (name or "").lower().rpartition(".")[2].split("_")
    return bool({"timeout", "seconds", "deadline"} & set(words))


def is_number(node: ast.AST) -> bool:
    """Whether it contains a number other than 0, and no name: an expression of names has its limit elsewhere."""
    parts = list(ast.walk(node))
    numbers = [part for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, int | float)]
    return any(one.value for one in numbers) and not any(isinstance(part, ast.Name) for part in parts)


def find_sockets(path: str, module: ast.Module) -> Iterator[Wait]:
    """The functions that open a socket and set no timeout for it."""
    for scope, node in walk(module):
        if not isinstance(node, ast.FunctionDef):
            continue
        calls = {ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
        opened = {"socket.socket", "socket.socketpair"} & calls
        if opened and not any(call.endswith(".settimeout") for call in calls):
            yield from (Wait(path, ".".join(filter(None, (scope, node.name))), code) for code in sorted(opened))


def read_constants(file: Path) -> Iterator[tuple[str, str]]:
    """The constants of a module, each with its docstring."""
    body = ast.parse(file.read_text()).body
    for number, node in enumerate(body):
        if isinstance(node, ast.Assign):
            following = body[number + 1] if number + 1 < len(body) else None
            has_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            yield ast.unparse(node.targets[0]), str(following.value.value) if has_text else ""  # type: ignore[union-attr]
