"""The checks of the webhook's registration, Service and endpoints."""

from typing import Any

import pytest

from tests.unit.podrole.diagnosis.states import (
    build_configuration,
    build_webhook,
    list_concerns_with,
)

LABELLED_ONLY = {"matchLabels": {"podrole.io/injection": "enabled"}}
NOT_READY = {"endpoints": [{"addresses": ["::1"], "conditions": {"ready": False}}]}
DUAL_STACK = [{"endpoints": [{"targetRef": {"uid": "1"}}]}] * 2


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        pytest.param({"rules": []}, ["PodCreationNotCovered"], id="no-rules"),
        pytest.param({"failurePolicy": "Ignore"}, ["FailurePolicyIgnore"], id="failure-policy-ignore"),
        pytest.param(
            {"namespaceSelector": {}},
            ["NamespaceSelectorTooBroad", "SystemNamespacesNotExcluded"],
            id="no-namespace-selector",
        ),
        pytest.param(
            {"namespaceSelector": LABELLED_ONLY}, ["SystemNamespacesNotExcluded"], id="system-namespaces-included"
        ),
        pytest.param({"sideEffects": "Some"}, ["SideEffects"], id="side-effects"),
    ],
)
def test_flaw_of_the_registered_webhook_is_the_only_concern(changes: dict[str, Any], codes: list[str]) -> None:
    assert list_concerns_with(webhooks=[build_configuration(build_webhook(**changes))]) == codes


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        pytest.param({"webhooks": []}, ["WebhookNotRegistered"], id="not-registered"),
        pytest.param(
            {"webhooks": [build_configuration(build_webhook()), build_configuration(build_webhook(), name="again")]},
            ["DuplicateWebhook"],
            id="registered-twice",
        ),
        pytest.param({"service": None}, ["ServiceNotFound"], id="service-missing"),
        pytest.param({"endpoint_slices": []}, ["NoReadyEndpoint"], id="no-endpoint-slice"),
        pytest.param({"endpoint_slices": [NOT_READY]}, ["NoReadyEndpoint"], id="endpoint-not-ready"),
        pytest.param({"endpoint_slices": DUAL_STACK}, ["SingleReadyEndpoint"], id="one-dual-stack-endpoint"),
    ],
)
def test_flaw_of_the_installation_is_the_only_concern(changes: dict[str, Any], codes: list[str]) -> None:
    assert list_concerns_with(**changes) == codes
