"""Label selectors, evaluated and formatted as the API server does.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from collections.abc import Callable, Mapping, Sequence

from injector.k8s.objects import Object, read_list, read_objects, read_strings

Labels = Mapping[str, str]

OPERATORS: dict[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def find_mismatch(selector: Object, labels: Labels) -> str | None:
    """Return the first requirement that the labels do not match, as text, or None. An empty selector matches all."""
    for requirement in _list_requirements(selector):
        key, operator, values = requirement
        is_met = OPERATORS.get(operator)
        if is_met is None or not is_met(labels.get(key), values):
            return " ".join(filter(None, [key, operator, f"({', '.join(values)})" if values else ""]))
    return None


def format_selector(selector: Object) -> str:
    """Format a selector for the query parameter `labelSelector`."""
    forms = {
        "Exists": "{key}",
        "DoesNotExist": "!{key}",
        "In": "{key} in ({values})",
        "NotIn": "{key} notin ({values})",
    }
    return ",".join(
        forms[operator].format(key=key, values=",".join(values))
        for key, operator, values in _list_requirements(selector)
    )


def _list_requirements(selector: Object) -> list[tuple[str, str, Sequence[str]]]:
    wanted = [(key, "In", [value]) for key, value in read_strings(selector, "matchLabels").items()]
    expressions = read_objects(selector, "matchExpressions")
    return [*wanted, *((str(e.get("key")), str(e.get("operator")), read_list(e, "values")) for e in expressions)]
