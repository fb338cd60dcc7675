"""Mutating webhooks as they are registered: which are asked about new pods, in which order, and which is ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from injector.k8s.objects import Object, read_list, read_mapping, read_objects

OUR_WEBHOOK = "pods.podrole.io"
POD_CREATION = {"apiGroups": "", "apiVersions": "v1", "resources": "pods", "operations": "CREATE"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One entry of a MutatingWebhookConfiguration that is asked about pods being created."""

    configuration: Object
    entry: Object

    @property
    def name(self) -> str:
        """The entry's own name."""
        return str(self.entry.get("name"))

    @property
    def configuration_name(self) -> str:
        """The name of the object that it is in."""
        return str(read_mapping(self.configuration, "metadata").get("name"))

    @property
    def is_self_managed(self) -> bool:
        """Whether it is podrole's: the entry's name is part of what podrole is, the object's may be another."""
        return self.name == OUR_WEBHOOK

    @property
    def failure_policy(self) -> str:
        """`Fail`, or `Ignore`: pods are created without it when it cannot be reached."""
        return str(self.entry.get("failurePolicy") or "Fail")

    @property
    def reinvocation_policy(self) -> str:
        """`IfNeeded`: asked again when a webhook after it changed the pod."""
        return str(self.entry.get("reinvocationPolicy") or "Never")

    @property
    def namespace_selector(self) -> Object:
        """Which namespaces it is asked about."""
        return read_mapping(self.entry, "namespaceSelector")

    @property
    def object_selector(self) -> Object:
        """Which pods it is asked about."""
        return read_mapping(self.entry, "objectSelector")

    @property
    def match_conditions(self) -> Sequence[Object]:
        """CEL expressions that must all be true."""
        return read_objects(self.entry, "matchConditions")

    @property
    def client(self) -> Object:
        """Where it is: a Service or a URL, and the authorities of its certificate."""
        return read_mapping(self.entry, "clientConfig")


def list_pod_webhooks(configurations: Iterable[Object]) -> list[Webhook]:
    """Those that are asked about pods being created, in the API server's order: by name, then as they stand."""
    by_name = sorted(configurations, key=lambda one: str(read_mapping(one, "metadata").get("name")))
    webhooks = [Webhook(configuration, entry) for configuration in by_name for entry in _read_entries(configuration)]
    return [webhook for webhook in webhooks if any(map(_is_for_pods, read_objects(webhook.entry, "rules")))]


def find_ours(configurations: Iterable[Object]) -> list[Webhook]:
    """Every entry with our name, also those whose rules leave pods out."""
    webhooks = [
        Webhook(configuration, entry) for configuration in configurations for entry in _read_entries(configuration)
    ]
    return [webhook for webhook in webhooks if webhook.is_self_managed]


def is_for_pods(webhook: Webhook) -> bool:
    """Whether it is asked about the creation of pods at all."""
    return any(map(_is_for_pods, read_objects(webhook.entry, "rules")))


def _read_entries(configuration: Object) -> Sequence[Object]:
    return read_objects(configuration, "webhooks")


def _is_for_pods(rule: Object) -> bool:
    is_covered = all(
        {"*", value} & {*read_list(rule, key)} for key, value in POD_CREATION.items() if key != "resources"
    )
    # `*/*` covers subresources as well; `pods/*` covers those alone.
    return is_covered and bool({"*", "*/*", "pods"} & {*read_list(rule, "resources")})
