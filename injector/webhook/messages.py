"""The texts of an answer: the message of a denial and the warnings, both of a limited size.

The API server cuts each warning to 256 characters as soon as all warnings of a request together, also those of other
webhooks and admission plugins, have more than 4096.
https://github.com/kubernetes/kubernetes/blob/v1.34.4/staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go
"""

from collections.abc import Callable, Sequence

from injector.explanations import limit_explanations
from injector.reasons import Explanation, Reason

MAX_MESSAGE_BYTES = 4096
MAX_WARNINGS_BYTES = 3072
"""Of all warnings together: the rest is for others."""

MAX_NAME = 253
"""Characters of a name that a message or a log line repeats: those of the longest that Kubernetes accepts."""

BYTES_OF_LAST = 32
"""For `And 1234567 more.`"""


def build_message(pod: str, uid: str, explanations: Sequence[Explanation]) -> str:
    """The message of a denial, with the code of each reason."""
    head = f"pod {pod} (request {uid}):" if pod else f"request {uid}:"
    texts = _fit(explanations, MAX_MESSAGE_BYTES - len(head.encode()), _format_with_code)
    return " ".join([head, *texts])


def build_warnings(explanations: Sequence[Explanation]) -> list[str]:
    """The warnings of an answer."""
    return _fit(explanations, MAX_WARNINGS_BYTES, lambda explanation: explanation.text)


def build_workload_warnings(
    workload: str, denials: Sequence[Explanation], warnings: Sequence[Explanation]
) -> list[str]:
    """The warnings for whoever applies a workload: why its pods would be denied, and what they would be warned of."""

    def form(explanation: Explanation) -> str:
        if explanation.reason is Reason.MORE:
            return explanation.text
        if explanation in denials:
            return f"{workload}: its pods would be denied: {_format_with_code(explanation)}"
        return f"{workload}: {explanation.text}"

    return _fit(limit_explanations((*denials, *warnings)), MAX_WARNINGS_BYTES, form)


def _format_with_code(explanation: Explanation) -> str:
    return explanation.text if explanation.reason is Reason.MORE else f"[{explanation.reason.code}] {explanation.text}"


def _fit(explanations: Sequence[Explanation], max_bytes: int, form: Callable[[Explanation], str]) -> list[str]:
    """Format as many explanations as fit, and count the others."""
    texts: list[str] = []
    left = max_bytes - BYTES_OF_LAST
    for index, explanation in enumerate(explanations):
        text = form(explanation)
        left -= len(text.encode()) + 1
        if left < 0 and explanation.reason is not Reason.MORE:
            return [*texts, *(form(one) for one in limit_explanations(explanations[index:], 0))]
        texts.append(text)
    return texts
