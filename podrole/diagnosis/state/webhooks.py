"""Registered mutating webhooks: which of them are called for new pods, in which order, and which is podrole's."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from injector.k8s.objects import Object, read_list, read_mapping, read_objects

IRSA = re.compile("pod-identity-webhook|iam-for-pods")
"""In the names of its webhook and configuration, which also serve EKS Pod Identity."""

OUR_WEBHOOK = "pods.podrole.io"
POD_CREATION = {"apiGroups": "", "apiVersions": "v1", "resources": "pods", "operations": "CREATE"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One entry of a MutatingWebhookConfiguration."""

    configuration: Object
    entry: Object

    @property
    def name(self) -> str:
        """The entry's own name."""
        return str(self.entry.get("name"))

    @property
    def configuration_name(self) -> str:
        """The name of the MutatingWebhookConfiguration."""
        return str(read_mapping(self.configuration, "metadata").get("name"))

    @property
    def is_podrole(self) -> bool:
        """Whether it is podrole's webhook, by the entry's name; the configuration's name can differ."""
        return self.name == OUR_WEBHOOK

    @property
    def failure_policy(self) -> str:
        """`Fail`, or `Ignore`: pods are created without injection while the webhook is unreachable."""
        return str(self.entry.get("failurePolicy") or "Fail")

    @property
    def reinvocation_policy(self) -> str:
        """`Never`, or `IfNeeded`: called again when a later webhook changed the pod."""
        return str(self.entry.get("reinvocationPolicy") or "Never")

    @property
    def namespace_selector(self) -> Object:
        """The namespaces for which the API server calls it."""
        return read_mapping(self.entry, "namespaceSelector")

    @property
    def object_selector(self) -> Object:
        """The pods for which the API server calls it."""
        return read_mapping(self.entry, "objectSelector")

    @property
    def match_conditions(self) -> Sequence[Object]:
        """CEL expressions that must all be true for a call."""
        return read_objects(self.entry, "matchConditions")

    @property
    def client(self) -> Object:
        """Its `clientConfig`: a Service or a URL, and the caBundle."""
        return read_mapping(self.entry, "clientConfig")


def list_pod_webhooks(configurations: Iterable[Object]) -> list[Webhook]:
    """List the webhooks called for new pods in the API server's order: by configuration, then by position in it."""
    by_name = sorted(configurations, key=lambda one: str(read_mapping(one, "metadata").get("name")))
    webhooks = [Webhook(configuration, entry) for configuration in by_name for entry in _read_entries(configuration)]
    return [webhook for webhook in webhooks if any(map(_is_for_pods, read_objects(webhook.entry, "rules")))]


def find_podrole_webhooks(configurations: Iterable[Object]) -> list[Webhook]:
    """List every entry with podrole's name, including those whose rules do not cover pods."""
    webhooks = [
        Webhook(configuration, entry) for configuration in configurations for entry in _read_entries(configuration)
    ]
    return [webhook for webhook in webhooks if webhook.is_podrole]


def has_irsa(configurations: Iterable[Object]) -> bool:
    """Whether IRSA's webhook is among them."""
    return any(IRSA.search(f"{one.configuration_name} {one.name}") for one in list_pod_webhooks(configurations))


def is_for_pods(webhook: Webhook) -> bool:
    """Return whether its rules cover the creation of pods."""
    return any(map(_is_for_pods, read_objects(webhook.entry, "rules")))


def _read_entries(configuration: Object) -> Sequence[Object]:
    return read_objects(configuration, "webhooks")


def _is_for_pods(rule: Object) -> bool:
    is_covered = all(
        {"*", value} & {*read_list(rule, key)} for key, value in POD_CREATION.items() if key != "resources"
    )
    # `*/*` covers subresources as well; `pods/*` covers those alone.
    return is_covered and bool({"*", "*/*", "pods"} & {*read_list(rule, "resources")})
