from typing import Any
from urllib.request import proxy_bypass

import pytest

from contract.modes import Mode
from injector.config import Config
from injector.patch.app_env import find_present
from injector.patch.no_proxy import NO_PROXIES
from injector.patch.pod_uid import CREDENTIALS_PATH, POD_UID
from injector.patch.regions import REGION_VARIABLES
from injector.patch.uninject import build_uninject_patch
from injector.reasons import TooLargePodError
from injector.value_types import ModePolicy
from testing.cases import CONFIG, Case, build_case, environment_of, find_container, load_case
from testing.pods.environment import expand
from tests.unit.injector.generated_pods import normalize

ADDRESSES = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,127.0.0.1"
RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
CREDENTIAL_VARIABLES = {"PODROLE_POD_UID": POD_UID["valueFrom"], RELATIVE_URI: CREDENTIALS_PATH}
ENV_MODE = CONFIG._replace(mode=ModePolicy.ENV)
IPV6_ONLY = CONFIG._replace(ipv6_only=True)
STORED_POD_UID = {
    "name": "PODROLE_POD_UID",
    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}},
}
"""As the API server returns it."""


def env_with(*variables: dict[str, Any]) -> Case:
    return build_case(containers=[{"name": "app", "image": "example/app:1", "env": [*variables]}])


def names_of(case: Case, config: Config = CONFIG) -> list[str]:
    return [variable["name"] for variable in find_container(case.inject(config), "app")["env"]]


def warn_pod_uid(case: Case, config: Config = CONFIG) -> list[str]:
    _, warnings = case.build_patch(config)
    return [warning for warning in warnings if "sets PODROLE_POD_UID" in warning]


def test_app_and_init_containers_get_uri_and_regions() -> None:
    pod = load_case("init-containers").inject()

    for name in ("app", "helper", "log-shipper"):
        assert environment_of(find_container(pod, name)) == {
            **CREDENTIAL_VARIABLES,
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }
    assert environment_of(find_container(pod, "migrate"))["MODE"] == "migrate"
    assert RELATIVE_URI in environment_of(find_container(pod, "migrate"))


def test_sidecar_does_not_get_the_variables_of_app_containers() -> None:
    pod = load_case("init-containers").inject()

    assert RELATIVE_URI not in environment_of(find_container(pod, "podrole-sidecar"))


def test_static_keys_are_kept_with_a_warning() -> None:
    case = load_case("own-environment")
    before = environment_of(find_container(case.pod, "static-keys"))

    after = environment_of(find_container(case.inject(), "static-keys"))
    _, warnings = case.build_patch()

    assert after == {**before, **CREDENTIAL_VARIABLES, "AWS_REGION": "us-west-2"}
    assert any('"static-keys" sets AWS_ACCESS_KEY_ID' in warning for warning in warnings)


def test_irsa_and_pod_identity_variables_are_kept_with_warnings() -> None:
    case = load_case("own-environment")

    pod = case.inject()
    _, warnings = case.build_patch(ENV_MODE)

    text = "\n".join(warnings)
    for variable in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        assert f'"irsa" sets {variable}' in text
    for variable in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        assert f'"pod-identity" sets {variable}' in text
    assert RELATIVE_URI not in environment_of(find_container(pod, "pod-identity"))


def test_empty_variable_causes_no_warning() -> None:
    _, warnings = load_case("own-environment").build_patch()

    assert not any("emptied" in warning for warning in warnings)


def test_users_relative_uri_is_kept_with_a_warning() -> None:
    container = {"name": "app", "env": [{"name": RELATIVE_URI, "value": "/v2/credentials/elsewhere"}]}
    case = build_case(containers=[container])

    pod = case.inject()
    _, warnings = case.build_patch()

    assert environment_of(find_container(pod, "app"))[RELATIVE_URI] == "/v2/credentials/elsewhere"
    assert any(RELATIVE_URI in warning for warning in warnings)


def test_uri_with_the_value_that_podrole_sets_causes_no_warning() -> None:
    container = {"name": "app", "env": [{"name": RELATIVE_URI, "value": CREDENTIALS_PATH}]}

    _, warnings = build_case(containers=[container]).build_patch()

    assert not warnings


def test_operators_endpoint_url_is_set_unless_the_user_has_one() -> None:
    config = CONFIG._replace(aws_endpoint_url="https://store.example")

    pod = load_case("own-environment").inject(config)

    assert environment_of(find_container(pod, "static-keys"))["AWS_ENDPOINT_URL"] == "https://store.example"
    assert environment_of(find_container(pod, "irsa"))["AWS_ENDPOINT_URL"] == "https://s3.example"


AGENT = "169.254.170.23/v1/credentials"
TOKEN_FILE = {
    "name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "value": "/var/run/secrets/pods.eks.amazonaws.com/token",
}


def warned_variables(config: Config, *variables: dict[str, Any]) -> list[str]:
    """The variables that a warning calls preferred to the pod's role."""
    _, warnings = env_with(*variables).build_patch(config)
    return [
        words[0]
        for _, found, rest in (one.partition(" sets ") for one in warnings)
        if found and (words := rest.split(","))
    ]


@pytest.mark.parametrize(
    ("name", "value", "config"),
    [
        pytest.param(FULL_URI, f"http://{AGENT}", CONFIG, id="pod-identity"),
        pytest.param(FULL_URI, "http://169.254.170.23:80/v1/credentials", CONFIG, id="with-its-port"),
        pytest.param(FULL_URI, "http://169.254.170.2/v1/credentials", CONFIG, id="address-of-ecs"),
        pytest.param(FULL_URI, "http://[fd00:ec2::23]/v1/credentials", CONFIG, id="ipv6"),
        pytest.param(FULL_URI, "http://[fd00:ec2::23]/v1/credentials", IPV6_ONLY, id="only-ipv6"),
        pytest.param(ENDPOINT, "http://169.254.169.254", CONFIG, id="metadata"),
        pytest.param(ENDPOINT, "http://[fd00:ec2::254]/", CONFIG, id="metadata-ipv6"),
    ],
)
def test_url_that_the_redirect_leads_to_the_sidecar_causes_a_warning_only_in_env_mode(
    name: str, value: str, config: Config
) -> None:
    variables = [{"name": name, "value": value}, TOKEN_FILE]

    assert warned_variables(config, *variables) == []
    assert name in warned_variables(config._replace(mode=ModePolicy.ENV), *variables)


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        pytest.param([{"name": FULL_URI, "value": "http://10.0.0.1/v1/credentials"}, TOKEN_FILE], CONFIG, id="host"),
        pytest.param([{"name": FULL_URI, "value": f"https://{AGENT}"}, TOKEN_FILE], CONFIG, id="tls"),
        pytest.param(
            [{"name": FULL_URI, "value": "http://169.254.170.23:8080/v1/credentials"}, TOKEN_FILE], CONFIG, id="port"
        ),
        pytest.param([{"name": FULL_URI, "value": f"http://{AGENT}/x"}, TOKEN_FILE], CONFIG, id="path"),
        pytest.param([{"name": FULL_URI, "value": f"http://{AGENT}"}], CONFIG, id="without-a-token"),
        pytest.param([{"name": FULL_URI, "value": f"http://{AGENT}"}, TOKEN_FILE], IPV6_ONLY, id="unreachable-ipv4"),
        pytest.param(
            [{"name": FULL_URI, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}], CONFIG, id="secret"
        ),
        pytest.param([{"name": ENDPOINT, "value": "http://169.254.169.254:1338"}], CONFIG, id="port-of-metadata"),
        pytest.param([{"name": ENDPOINT, "value": "http://localhost:1338/"}], CONFIG, id="other-metadata"),
    ],
)
def test_url_beside_the_redirect_causes_a_warning(variables: list[dict[str, Any]], config: Config) -> None:
    assert warned_variables(config, *variables) == [variable["name"] for variable in variables]


def test_token_for_the_sidecar_causes_no_warning() -> None:
    assert warned_variables(CONFIG, TOKEN_FILE) == []
    assert warned_variables(ENV_MODE, TOKEN_FILE) == []


@pytest.mark.parametrize(
    ("variable", "consequence"),
    [
        pytest.param("AWS_SHARED_CREDENTIALS_FILE", "prefer them to the pod's role", id="credentials-file"),
        pytest.param("AWS_CREDENTIAL_FILE", "prefer them to the pod's role", id="credentials-file-of-botocore"),
        pytest.param("AWS_CREDENTIAL_PROFILES_FILE", "prefer them to the pod's role", id="credentials-file-of-java-v1"),
        pytest.param("BOTO_CONFIG", "prefer them to the pod's role", id="boto-config"),
        pytest.param("AWS_CONFIG_FILE", "prefer them to the pod's role", id="config-file"),
        pytest.param("AWS_PROFILE", "fail (ProfileNotFound)", id="profile"),
        pytest.param("AWS_DEFAULT_PROFILE", "fail (ProfileNotFound)", id="default-profile"),
        pytest.param("AWS_ACCESS_KEY", "prefer it to the pod's role", id="access-key-of-older-sdks"),
    ],
)
def test_variable_that_leads_to_other_credentials_is_kept_with_its_consequence(variable: str, consequence: str) -> None:
    own = {"name": variable, "value": "x"}
    case = env_with(own)

    _, [warning] = case.build_patch()

    assert own in find_container(case.inject(), "app")["env"]
    assert f'"app" sets {variable}, which podrole did not change' in warning
    assert consequence in warning
    assert env_with({"name": variable, "value": ""}).build_patch()[1] == []


def regions_of(case: Case) -> list[str | None]:
    """Both variables as the kubelet makes them; it has the ConfigMap's values `from-map`."""
    environ: dict[str, str] = {}
    for variable in find_container(case.inject(), "app")["env"]:
        environ[variable["name"]] = "from-map" if "valueFrom" in variable else expand(variable["value"], environ)
    return [environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")]


FROM_MAP = {"valueFrom": {"configMapKeyRef": {"name": "aws", "key": "region"}}}
REGION, DEFAULT_REGION = {"name": "AWS_REGION"}, {"name": "AWS_DEFAULT_REGION"}


@pytest.mark.parametrize(
    ("own", "region"),
    [
        pytest.param([{**REGION, "value": "fr-par"}], "fr-par", id="only-region"),
        pytest.param([{**DEFAULT_REGION, "value": "fr-par"}], "fr-par", id="only-default-region"),
        pytest.param([{**REGION, **FROM_MAP}], "from-map", id="region-by-value-from"),
        pytest.param([{"name": "SITE", "value": "fr-par"}, {**REGION, "value": "$(SITE)"}], "fr-par", id="reference"),
        pytest.param([{**REGION, "value": ""}], "eu-west-1", id="empty-region"),
        pytest.param([{**REGION, "value": ""}, {**DEFAULT_REGION, "value": ""}], "eu-west-1", id="both-empty"),
        pytest.param(
            [{**REGION, "value": ""}, {**DEFAULT_REGION, "value": "fr-par"}], "fr-par", id="empty-before-twin"
        ),
        pytest.param(
            [{**DEFAULT_REGION, **FROM_MAP}, {**REGION, "value": ""}], "from-map", id="empty-after-value-from"
        ),
        pytest.param([{**REGION, "value": "fr-par"}, {**DEFAULT_REGION, "value": ""}], "fr-par", id="empty-after-twin"),
        pytest.param([REGION], "eu-west-1", id="without-value"),
    ],
)
def test_both_region_variables_get_one_value(own: list[dict[str, Any]], region: str) -> None:
    case = env_with(*own)
    once = case.inject()

    assert regions_of(case) == [region, region]
    assert case.with_pod(once).inject() == once
    assert normalize(build_uninject_patch(once).apply(once)) == normalize(case.pod)


@pytest.mark.parametrize(
    "own",
    [
        pytest.param([{**REGION, "value": ""}, {**DEFAULT_REGION, **FROM_MAP}], id="reference-would-come-too-early"),
        pytest.param(
            [{**REGION, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b", "optional": True}}}], id="optional"
        ),
    ],
)
def test_region_that_cannot_be_copied_is_left_as_it_is(own: list[dict[str, Any]]) -> None:
    injected = find_container(env_with(*own).inject(), "app")["env"]

    assert [variable for variable in injected if variable["name"] in REGION_VARIABLES] == own


def test_region_beside_env_from_is_left_as_it_is() -> None:
    own = {"name": "AWS_REGION", "value": ""}
    case = build_case(containers=[{"name": "app", "envFrom": [{"configMapRef": {"name": "aws"}}], "env": [own]}])

    _, warnings = case.build_patch()

    assert own in find_container(case.inject(), "app")["env"]
    assert "AWS_DEFAULT_REGION" not in names_of(case)
    assert any('"app" uses envFrom' in warning for warning in warnings)


@pytest.mark.parametrize(
    ("variable", "config", "expected"),
    [
        pytest.param(RELATIVE_URI, CONFIG, {RELATIVE_URI: CREDENTIALS_PATH}, id="the-uri-of-the-mode"),
        pytest.param(FULL_URI, CONFIG, {FULL_URI: "", RELATIVE_URI: CREDENTIALS_PATH}, id="the-other-uri"),
        pytest.param(FULL_URI, ENV_MODE, {FULL_URI: f"http://127.0.0.1:16925{CREDENTIALS_PATH}"}, id="env-mode"),
        pytest.param(ENDPOINT, ENV_MODE, {ENDPOINT: "http://127.0.0.1:16925/"}, id="metadata-endpoint-in-env-mode"),
    ],
)
def test_empty_variable_that_leads_to_credentials_counts_as_unset(
    variable: str, config: Config, expected: dict[str, str]
) -> None:
    case = env_with({"name": variable, "value": ""})
    once = case.inject(config)

    added = environment_of(find_container(once, "app"))

    assert {name: added[name] for name in expected} == expected
    assert case.with_pod(once).inject(config) == once
    assert build_uninject_patch(once).apply(once) == case.pod


def test_emptied_endpoint_url_keeps_the_endpoints_of_aws() -> None:
    case = env_with({"name": "AWS_ENDPOINT_URL", "value": ""})

    pod = case.inject(CONFIG._replace(aws_endpoint_url="https://store.example"))

    assert environment_of(find_container(pod, "app"))["AWS_ENDPOINT_URL"] == ""


def test_no_proxy_gets_the_metadata_addresses_if_a_proxy_is_set() -> None:
    pod = load_case("proxies").inject()

    found = {name: environment_of(find_container(pod, name)) for name in ("no-list", "one-list", "two-lists")}
    assert [found["no-list"][name] for name in ("NO_PROXY", "no_proxy")] == [ADDRESSES, ADDRESSES]
    assert found["one-list"]["NO_PROXY"] == f".cluster.local,169.254.169.254,{ADDRESSES}"
    assert found["one-list"]["no_proxy"] == f"{ADDRESSES},.cluster.local,169.254.169.254"
    assert found["two-lists"]["NO_PROXY"] == f"upper.example,{ADDRESSES}"
    assert found["two-lists"]["no_proxy"] == f"lower.example,{ADDRESSES}"


def test_no_proxy_with_wildcard_is_unchanged() -> None:
    pod = load_case("proxies").inject()

    assert environment_of(find_container(pod, "all-hosts"))["NO_PROXY"] == "*"


def test_no_proxy_from_a_config_map_is_unchanged_with_a_warning() -> None:
    case = load_case("proxies")

    after = environment_of(find_container(case.inject(), "list-from-elsewhere"))
    _, warnings = case.build_patch()

    assert after["NO_PROXY"] == {"configMapKeyRef": {"name": "proxy", "key": "no_proxy"}}
    assert "no_proxy" not in after
    assert any('"list-from-elsewhere"' in warning and "169.254.170.2" in warning for warning in warnings)


def test_no_proxy_is_unchanged_without_a_proxy() -> None:
    pod = load_case("proxies").inject()

    assert environment_of(find_container(pod, "no-proxy-at-all"))["NO_PROXY"] == ".cluster.local"


def start_container(container: dict[str, Any], config_map: dict[str, str]) -> dict[str, str]:
    """The environment as the kubelet makes it: first `envFrom`, then `env` with its references."""
    [source] = container["envFrom"]
    environ = {f"{source.get('prefix') or ''}{key}": value for key, value in config_map.items()}
    for variable in container.get("env") or []:
        if "valueFrom" not in variable:
            environ[variable["name"]] = expand(variable.get("value") or "", environ)
    return environ


def inject_with_env_from(config_map: dict[str, str], *own: dict[str, Any], prefix: str | None = None) -> dict[str, str]:
    source = {"configMapRef": {"name": "proxy"}, "prefix": prefix}
    case = build_case(containers=[{"name": "app", "envFrom": [source], "env": [*own]}])
    once = case.inject()
    assert case.with_pod(once).inject() == once
    return start_container(find_container(once, "app"), config_map)


@pytest.mark.parametrize(
    ("config_map", "own", "prefix"),
    [
        pytest.param({"HTTP_PROXY": "p"}, (), None, id="proxy-without-a-list"),
        pytest.param({"HTTP_PROXY": "p", "NO_PROXY": "a"}, (), None, id="upper-case"),
        pytest.param({"http_proxy": "p", "no_proxy": "a"}, (), None, id="lower-case"),
        pytest.param({"HTTP_PROXY": "p", "NO_PROXY": "a", "no_proxy": "b"}, (), None, id="both"),
        pytest.param({"PROXY": "p"}, (), "HTTP_", id="prefix-of-the-proxy"),
        pytest.param({"PROXY": "a"}, ({"name": "HTTP_PROXY", "value": "p"},), "NO_", id="prefix-of-the-list"),
        pytest.param({"HTTP_PROXY": "p"}, ({"name": "NO_PROXY", "value": "a"},), None, id="own-list"),
        pytest.param({"http_proxy": "p"}, ({"name": "no_proxy", "value": ""},), None, id="own-empty-list"),
        pytest.param(
            {"no_proxy": "a"}, ({"name": "NO_PROXY", "value": "b,*.c"},), None, id="own-list-of-the-other-case"
        ),
        pytest.param({"no_proxy": "a"}, ({"name": "NO_PROXY", "value": ADDRESSES},), None, id="own-complete-list"),
    ],
)
def test_no_proxy_of_env_from_is_extended(
    config_map: dict[str, str], own: tuple[dict[str, Any], ...], prefix: str | None
) -> None:
    before = start_container({"envFrom": [{"prefix": prefix}], "env": [*own]}, config_map)

    after = inject_with_env_from(config_map, *own, prefix=prefix)

    hosts = {host for name in NO_PROXIES for host in before.get(name, "").split(",")}
    for name in NO_PROXIES:
        added = {*after[name].split(",")}
        assert added.issuperset(ADDRESSES.split(","))
        assert added.issuperset(hosts - {""} if name not in before else {*before[name].split(",")})


def test_no_proxy_with_wildcard_beside_env_from_is_not_narrowed() -> None:
    after = inject_with_env_from({"HTTP_PROXY": "p"}, {"name": "NO_PROXY", "value": "*"})

    assert after["NO_PROXY"] == "*"
    assert "no_proxy" not in after


@pytest.mark.parametrize("hosts", ["*", "a,*", "*,a", "a, *", " *", "*.a", ADDRESSES])
@pytest.mark.parametrize("with_env_from", [True, False], ids=["env-from", "env"])
def test_botocore_uses_no_proxy_for_the_sidecar_whatever_the_list(hosts: str, *, with_env_from: bool) -> None:
    own = {"name": "NO_PROXY", "value": hosts}
    if with_env_from:
        after = inject_with_env_from({"HTTP_PROXY": "p"}, own)
    else:
        after = inject_with_env_from({}, {"name": "HTTP_PROXY", "value": "p"}, own, prefix="DB_")

    for address in ADDRESSES.split(","):
        assert proxy_bypass(address, {"no": after.get("no_proxy", after["NO_PROXY"])})
        assert proxy_bypass(address, {"no": after["NO_PROXY"]})


def warn_no_proxy(*own: dict[str, Any], prefix: str | None = None) -> list[str]:
    env_from = [{"configMapRef": {"name": "proxy"}, "prefix": prefix}]
    _, warnings = build_case(containers=[{"name": "app", "envFrom": env_from, "env": [*own]}]).build_patch()
    return [warning for warning in warnings if "_PROXY" in warning or "no_proxy" in warning]


@pytest.mark.parametrize(("name", "twin"), [NO_PROXIES, NO_PROXIES[::-1]], ids=["upper-case", "lower-case"])
@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"value": "*"}, id="all-hosts"),
        pytest.param({"valueFrom": {"configMapKeyRef": {"name": "proxy", "key": "hosts"}}}, id="value-from"),
    ],
)
def test_list_of_env_from_that_cannot_be_extended_causes_a_warning(
    source: dict[str, Any], name: str, twin: str
) -> None:
    own = {"name": name, **source}

    warnings = warn_no_proxy(own)

    (found,) = (
        warning for warning in warnings if f"can set {twin}, so podrole did not add it beside {name}" in warning
    )
    assert f"make sure that {twin} contains {ADDRESSES}" in found
    assert not any("did not add it" in warning for warning in warn_no_proxy(own, prefix="DB_"))
    assert not any("did not add it" in warning for warning in warn_no_proxy(own, {"name": twin, "value": "*"}))


@pytest.mark.parametrize("hosts", ["", "a", "a,*", ADDRESSES])
def test_list_of_env_from_that_is_extended_causes_no_warning(hosts: str) -> None:
    assert warn_no_proxy({"name": "NO_PROXY", "value": hosts}) == []


def test_no_proxy_by_value_from_beside_env_from_is_unchanged_with_a_warning() -> None:
    own = {"name": "NO_PROXY", "valueFrom": {"configMapKeyRef": {"name": "proxy", "key": "hosts"}}}
    container = {"name": "app", "envFrom": [{"configMapRef": {"name": "proxy"}}], "env": [own]}
    case = build_case(containers=[container])

    _, warnings = case.build_patch()

    assert own in find_container(case.inject(), "app")["env"]
    assert "no_proxy" not in names_of(case)
    assert any("sets NO_PROXY by valueFrom" in warning for warning in warnings)


def test_later_of_two_no_proxy_variables_is_extended() -> None:
    env = [{"name": "HTTP_PROXY", "value": "p"}, *({"name": "NO_PROXY", "value": value} for value in ("a", "b"))]
    case = build_case(containers=[{"name": "app", "env": env}])

    values = [v["value"] for v in find_container(case.inject(), "app")["env"] if v["name"] == "NO_PROXY"]

    assert values == ["a", f"b,{ADDRESSES}"]


@pytest.mark.parametrize("prefix", [None, "", "A", "AWS_"], ids=["none", "empty", "one-letter", "aws"])
def test_container_with_env_from_gets_no_region_and_a_warning(prefix: str | None) -> None:
    container = {"name": "app", "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": prefix}]}
    case = build_case(containers=[container])
    config = CONFIG._replace(aws_endpoint_url="https://store.example")

    pod = case.inject(config)
    _, warnings = case.build_patch(config)

    added = environment_of(find_container(pod, "app"))
    assert {name: value for name, value in added.items() if name not in NO_PROXIES} == CREDENTIAL_VARIABLES
    assert any('"app" uses envFrom' in warning for warning in warnings)


@pytest.mark.parametrize("prefix", ["DB_", "AWS_REGION_", "AWS_REGIONS", "HTTP_PROXY"])
def test_env_from_with_a_prefix_that_excludes_aws_variables_changes_nothing(prefix: str) -> None:
    container = {"name": "app", "envFrom": [{"secretRef": {"name": "database"}, "prefix": prefix}]}
    config = CONFIG._replace(aws_endpoint_url="https://store.example")

    pod = build_case(containers=[container]).inject(config)
    _, warnings = build_case(containers=[container]).build_patch(config)

    assert environment_of(find_container(pod, "app")) == environment_of(
        find_container(build_case().inject(config), "app")
    )
    assert not warnings


def test_container_with_env_from_and_a_region_causes_no_warning() -> None:
    own = {"name": "AWS_REGION", "value": "eu-north-1"}
    container = {"name": "app", "env": [own], "envFrom": [{"secretRef": {"name": "settings"}}]}

    _, warnings = build_case(containers=[container]).build_patch()

    assert not warnings


@pytest.mark.parametrize(
    ("config", "uri"),
    [
        pytest.param(CONFIG, RELATIVE_URI, id="redirect"),
        pytest.param(ENV_MODE, FULL_URI, id="env"),
        pytest.param(IPV6_ONLY, FULL_URI, id="ipv6-only"),
    ],
)
def test_pod_uid_comes_before_all_variables_and_before_the_uri(config: Config, uri: str) -> None:
    names = names_of(env_with({"name": "A", "value": "1"}, {"name": "B", "value": "2"}), config)

    assert names[:3] == ["PODROLE_POD_UID", "A", "B"]
    assert names.index(uri) > 0


def test_pod_uid_is_the_first_variable_of_a_container_without_env() -> None:
    assert names_of(build_case())[:2] == ["PODROLE_POD_UID", RELATIVE_URI]


@pytest.mark.parametrize("uid", [POD_UID, STORED_POD_UID], ids=["as-written", "as-stored"])
def test_pod_uid_that_is_already_there_is_not_added(uid: dict[str, Any]) -> None:
    case = env_with({"name": "A", "value": "1"}, uid)

    assert names_of(case).count("PODROLE_POD_UID") == 1
    assert names_of(case).index(RELATIVE_URI) > names_of(case).index("PODROLE_POD_UID")
    assert warn_pod_uid(case) == []


OWN_POD_UIDS = {
    "value": {"value": "mine"},
    "empty": {},
    "another-field": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    "config-map": {"valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
    "two-sources": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}, "secretKeyRef": {"name": "a"}}},
    "no-object": {"valueFrom": "metadata.uid"},
}


@pytest.mark.parametrize("own", OWN_POD_UIDS.values(), ids=list(OWN_POD_UIDS))
@pytest.mark.parametrize(("config", "mode"), [(CONFIG, Mode.REDIRECT), (ENV_MODE, Mode.ENV)], ids=["redirect", "env"])
def test_own_value_of_pod_uid_is_kept_and_the_uri_left_out_with_a_warning(
    config: Config, mode: Mode, own: dict[str, Any]
) -> None:
    case = env_with({"name": "PODROLE_POD_UID", **own})

    names = names_of(case, config)

    assert find_container(case.inject(config), "app")["env"][0] == {"name": "PODROLE_POD_UID", **own}
    assert not {RELATIVE_URI, FULL_URI} & {*names}
    assert ("AWS_EC2_METADATA_SERVICE_ENDPOINT" in names) is (mode == Mode.ENV)
    [warning] = warn_pod_uid(case, config)
    assert warning.startswith('Container "app" sets PODROLE_POD_UID with a value of its own')


def test_own_value_of_pod_uid_does_not_matter_beside_an_own_uri() -> None:
    own = {"name": "PODROLE_POD_UID", "value": "mine"}

    assert warn_pod_uid(env_with(own, {"name": FULL_URI, "value": "http://127.0.0.1:1/mine"})) == []


def test_pod_uid_that_another_webhook_moved_behind_the_uri_causes_a_warning() -> None:
    case = env_with({"name": RELATIVE_URI, "value": CREDENTIALS_PATH}, STORED_POD_UID)

    [warning] = warn_pod_uid(case)

    assert "after the variable that refers to it" in warning


def test_pod_uid_that_another_webhook_removed_is_added_again() -> None:
    case = build_case()
    injected = case.inject()
    env = find_container(injected, "app")["env"]
    env[:] = [{"name": "MESH", "value": "1"}, *(one for one in env if one["name"] != "PODROLE_POD_UID")]

    assert names_of(case.with_pod(injected))[:3] == ["PODROLE_POD_UID", "MESH", RELATIVE_URI]


def test_pod_uid_from_a_config_map_is_overridden_by_podroles() -> None:
    container = {"name": "app", "envFrom": [{"configMapRef": {"name": "settings"}}]}

    assert names_of(build_case(containers=[container]))[:2] == ["PODROLE_POD_UID", RELATIVE_URI]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (FULL_URI, f"http://127.0.0.1:16925{CREDENTIALS_PATH}"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:16925/"),
    ],
)
def test_address_of_env_mode_causes_a_warning_in_redirect_mode(variable: str, value: str) -> None:
    case = env_with({"name": variable, "value": value})

    _, redirected = case.build_patch()
    _, in_env_mode = case.build_patch(ENV_MODE)

    assert any(f'"app" sets {variable}' in warning for warning in redirected)
    assert not any(f'"app" sets {variable}' in warning for warning in in_env_mode)


@pytest.mark.parametrize(
    ("containers", "characters"),
    [pytest.param(1, 300_000, id="one-value"), pytest.param(200, 1000, id="many-values-each-copied-to-its-twin")],
)
def test_proxy_exceptions_over_the_limit_deny_the_pod(containers: int, characters: int) -> None:
    env = [{"name": "HTTP_PROXY", "value": "http://proxy"}, {"name": "NO_PROXY", "value": "a" * characters}]
    case = build_case(containers=[{"name": f"c{number}", "env": env} for number in range(containers)])

    with pytest.raises(TooLargePodError, match="the maximum is 262144"):
        case.build_patch()


CREDENTIAL_NAMES = {RELATIVE_URI, FULL_URI, ENDPOINT}


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        pytest.param(CONFIG, ENV_MODE, {FULL_URI, ENDPOINT}, id="redirect-to-env"),
        pytest.param(ENV_MODE, CONFIG, {RELATIVE_URI}, id="env-to-redirect"),
        pytest.param(IPV6_ONLY, ENV_MODE, {FULL_URI, ENDPOINT}, id="ipv6-only-to-env"),
    ],
)
def test_variables_of_another_mode_are_replaced(before: Config, after: Config, names: set[str]) -> None:
    case = env_with({"name": "A", "value": "b"})

    pod = case.with_pod(case.inject(before)).inject(after)
    patch, warnings = case.with_pod(pod).build_patch(after)

    assert CREDENTIAL_NAMES & {*environment_of(find_container(pod, "app"))} == names
    assert patch.patch == []
    assert not [warning for warning in warnings if "prefer" in warning]
    assert normalize(build_uninject_patch(pod).apply(pod)) == normalize(case.pod)


def test_authors_variable_with_the_value_of_another_mode_stays() -> None:
    case = env_with({"name": RELATIVE_URI, "value": CREDENTIALS_PATH})

    pod = case.with_pod(case.inject()).inject(ENV_MODE)

    assert RELATIVE_URI in environment_of(find_container(pod, "app"))


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        pytest.param([{"name": "A"}, {"name": "WS_B"}], [], id="letters-of-two-names"),
        pytest.param([{"name": "MY_AWS_REGION"}], [], id="prefix-within-a-name"),
        pytest.param([{"name": "A"}, {"name": "AWS_REGION"}], ["AWS_REGION"], id="one-of-aws"),
        pytest.param([{"name": "A"}, {"name": "no_proxy"}], ["no_proxy"], id="one-of-proxies"),
        pytest.param([{"value": "1"}, {"name": "AWS_REGION"}], ["AWS_REGION"], id="beside-one-without-a-name"),
        pytest.param([{"name": 5}, {"name": ["x"]}, {"name": "AWS_REGION"}], ["AWS_REGION"], id="beside-odd-names"),
        pytest.param([{"name": None}], [], id="null"),
    ],
)
def test_only_variables_that_decide_are_found(variables: list[dict[str, Any]], found: list[str]) -> None:
    assert [*find_present({"env": variables})] == found
