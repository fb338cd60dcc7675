"""What users of the API server can do that podrole does not stop: docs/threat-model.md says so."""

import pytest

from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import OURS, build_pod, names_of, store

ALLOWED_ROLES = "iam.amazonaws.com/allowed-roles"


def test_author_of_the_namespace_can_remove_the_allow_list(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(annotations={ALLOWED_ROLES: '["writer"]'})
    with pytest.raises(RefusedError, match="RoleNotAllowed"):
        api.create(build_pod(), namespace)

    api.patch(("Namespace", namespace), {"metadata": {"annotations": {ALLOWED_ROLES: None}}})

    def try_to_create() -> bool:
        try:
            return names_of(store(api, build_pod(), namespace, dry_run=True), "initContainers") == OURS
        except RefusedError:
            return False

    wait_for("the injector has seen the change", try_to_create)


def test_author_of_the_namespace_can_remove_the_label(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make()
    assert names_of(store(api, build_pod(), namespace, dry_run=True), "initContainers") == OURS

    api.patch(("Namespace", namespace), {"metadata": {"labels": {"podrole.io/injection": None}}})

    def is_unchanged() -> bool:
        return not names_of(store(api, build_pod(), namespace, dry_run=True), "initContainers")

    wait_for("the API server has seen the change", is_unchanged)
