import pytest

from injector.config import Config
from injector.errors import ConfigError
from testing.cases import CONFIG, ENVIRON, Case, Pod, build_case, find_container, load_case

IMAGE = "ghcr.io/team/podrole-sidecar:1@sha256:ab"
MIRRORED = "mirror.example/ghcr/team/podrole-sidecar:1@sha256:ab"
PLAIN = CONFIG._replace(sidecar_image=IMAGE)
MIRROR = PLAIN._replace(image_rewrites=(("docker.io/", "mirror.example/hub/"), ("ghcr.io/", "mirror.example/ghcr/")))


def rewrite(pod: Pod, image: str) -> Pod:
    """What a webhook does that is called after podrole's."""
    for container in pod["spec"]["initContainers"]:
        container["image"] = image
    return pod


def images_after_another_review(image: str, config: Config, case: Case | None = None) -> set[str]:
    case = case or build_case()
    again = case.with_pod(rewrite(case.inject(config), image)).inject(config)
    return {container["image"] for container in again["spec"]["initContainers"]}


@pytest.mark.parametrize(
    "value",
    [
        "ghcr.io/",
        "ghcr.io=mirror/",
        "ghcr.io/=mirror",
        "=mirror/",
        "a/=b/,",
        "a/=b/, c/=d/",
        "a/='b/",
        "a/=$b/",
        "/=a/",
        ",".join(["a/=b/"] * 9),
    ],
)
def test_setting_that_is_no_list_of_prefixes_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"PODROLE_IMAGE_REWRITES is .*up to 8 pairs of prefixes"):
        Config.from_environ(ENVIRON | {"PODROLE_IMAGE_REWRITES": value})


def test_setting_is_a_list_of_prefixes_and_replacements() -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_IMAGE_REWRITES": "ghcr.io/=m.example:5000/ghcr/,a/=b/"})

    assert config.image_rewrites == (("ghcr.io/", "m.example:5000/ghcr/"), ("a/", "b/"))


@pytest.mark.parametrize("name", ["role-on-the-pod", "no-role"], ids=["redirect-and-sidecar", "block"])
def test_image_that_a_webhook_rewrote_is_kept_at_the_next_review(name: str) -> None:
    case = load_case(name)
    rewritten = rewrite(case.inject(MIRROR), MIRRORED)

    patch, _ = case.with_pod(rewritten).build_patch(MIRROR)

    assert patch.patch == []


def test_rewritten_image_is_kept_where_the_container_must_be_repaired() -> None:
    case = build_case()
    pod = rewrite(case.inject(MIRROR), MIRRORED)
    find_container(pod, "podrole-redirect")["command"] = ["true"]

    again = case.with_pod(pod).inject(MIRROR)

    assert again["spec"]["initContainers"] == rewrite(case.inject(MIRROR), MIRRORED)["spec"]["initContainers"]


@pytest.mark.parametrize(
    "image",
    [
        pytest.param("mirror.example/ghcr/team/podrole-sidecar:0", id="another-tag"),
        pytest.param("mirror.example/ghcr/team/other:1@sha256:ab", id="another-name"),
        pytest.param("mirror.example/hub/team/podrole-sidecar:1@sha256:ab", id="replacement-of-another-prefix"),
        pytest.param("evil.example/ghcr/team/podrole-sidecar:1@sha256:ab", id="another-registry"),
        pytest.param("", id="empty"),
    ],
)
def test_any_other_image_is_replaced(image: str) -> None:
    assert images_after_another_review(image, MIRROR) == {IMAGE}


def test_rewritten_image_is_replaced_without_the_setting() -> None:
    assert images_after_another_review(MIRRORED, PLAIN) == {IMAGE}
