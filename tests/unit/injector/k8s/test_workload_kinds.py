"""The table of kinds with pod templates, and the option that adds to it."""

from typing import Any

import pytest

from injector.errors import ConfigError, ObjectError
from injector.k8s.workload_kinds import BUILT_IN_GROUPS, MAX_PATHS, WORKLOAD_KINDS, add_paths, remove_paths
from injector.k8s.workloads import find_templates

POD = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "app"}]}}
CUSTOM = {key: kind for key, kind in WORKLOAD_KINDS.items() if key[0] not in BUILT_IN_GROUPS}
PATHS = [(*key, path) for key, kind in CUSTOM.items() for path in kind.paths if path]
FORMS = ["list", "object"]


def build_object(group: str, kind: str, path: str, form: str = "list") -> dict[str, Any]:
    """An object with a pod at a path; `*` is a list or an object with one element."""
    value: Any = POD
    for key in reversed(path.split(".")):
        value = {key: value} if key != "*" else [value] if form == "list" else {"first": value}
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "app"}, **value}


@pytest.mark.parametrize(
    "option",
    [
        pytest.param("", id="empty"),
        pytest.param("Rollout.argoproj.io", id="no-path"),
        pytest.param("Rollout.argoproj.io=", id="empty-path"),
        pytest.param("Rollout.argoproj.io=spec..template", id="empty-key"),
        pytest.param("Rollout.argoproj.io=.spec.template", id="leading-dot"),
        pytest.param("Rollout.argoproj.io=spec[0].template", id="brackets"),
        pytest.param("Rollout.argoproj.io=spec.template ", id="space"),
        pytest.param("rollouts.argoproj.io=spec.template", id="plural-of-kind"),
        pytest.param("argoproj.io/Rollout=spec.template", id="slash"),
        pytest.param("Rollout.argoproj.io=" + ".".join(["a"] * 21), id="21-keys"),
        pytest.param("Rollout.argoproj.io=" + "a" * 254, id="long-key"),
        pytest.param("A" * 64 + ".example.com=spec", id="long-kind"),
    ],
)
def test_option_of_another_form_is_refused_with_examples(option: str) -> None:
    with pytest.raises(ConfigError, match=r"is not KIND\.GROUP=PATH, such as Rollout\.argoproj\.io=spec\.template"):
        add_paths([option])


def test_option_is_shown_shortened() -> None:
    with pytest.raises(ConfigError) as caught:
        add_paths(["x" * 100_000])

    assert len(str(caught.value)) < 400


def test_more_options_than_the_limit_are_refused() -> None:
    with pytest.raises(ConfigError, match=f"more than {MAX_PATHS} times"):
        add_paths(f"Kind{index}.example.com=spec" for index in range(MAX_PATHS + 1))


def test_option_adds_a_kind() -> None:
    kinds = add_paths(["Web.example.com=spec.pod", "Web.example.com=spec.groups.*.pod"])

    document = {"apiVersion": "example.com/v1", "kind": "Web", "spec": {"pod": POD, "groups": [{"pod": POD}]}}
    assert [one.template_path for one in find_templates(document, kinds)] == [
        ("spec", "pod"),
        ("spec", "groups", 0, "pod"),
    ]
    assert [*find_templates(document)] == []


def test_option_makes_a_kind_injectable_and_keeps_its_paths() -> None:
    kinds = remove_paths(add_paths(["Service.serving.knative.dev=spec.template"]))

    assert kinds["serving.knative.dev", "Service"].paths == ("spec.template",)
    assert kinds["serving.knative.dev", "Configuration"].paths == ()
    assert remove_paths(WORKLOAD_KINDS)["serving.knative.dev", "Service"].paths == ()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("group", "kind", "path"), PATHS, ids=[f"{kind}-{path}" for _, kind, path in PATHS])
def test_template_of_each_path_of_the_table_is_found(group: str, kind: str, path: str, form: str) -> None:
    [template] = find_templates(build_object(group, kind, path, form))

    assert (template.kind, template.name, template.pod) == (kind, "app", POD)
    assert len(template.template_path) == path.count(".") + 1


def test_all_templates_of_an_object_are_found_in_order() -> None:
    tasks = [{"name": "a", "template": POD}, {"name": "without"}, "text", {"name": "b", "template": POD}]
    job = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "spec": {"tasks": tasks}}

    assert [one.template_path for one in find_templates(job)] == [
        ("spec", "tasks", 0, "template"),
        ("spec", "tasks", 3, "template"),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"workloadRef": {"kind": "Deployment", "name": "web"}}, id="reference"),
        pytest.param({"template": None}, id="null"),
    ],
)
def test_object_of_a_custom_kind_can_be_without_a_template(spec: Any) -> None:
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": spec}

    assert [*find_templates(rollout)] == []


def test_template_that_is_not_an_object_is_an_error_with_its_place() -> None:
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}}

    with pytest.raises(ObjectError, match=r"Rollout web has no spec\.template: it must be an object"):
        [*find_templates({**rollout, "spec": {"template": []}})]


def test_items_of_a_list_of_a_custom_kind_get_its_kind() -> None:
    items = [{"metadata": {"name": "web"}, "spec": {"template": POD}}]

    [template] = find_templates({"apiVersion": "argoproj.io/v1alpha1", "kind": "RolloutList", "items": items})

    assert (template.kind, template.document_path) == ("Rollout", ("items", 0, "spec", "template"))
