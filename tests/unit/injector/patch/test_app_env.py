import contract
from testing.cases import CONFIG, build_case, environment_of, find_container, load_case

ADDRESSES = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,127.0.0.1"
RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"


def test_app_and_init_containers_get_uri_and_regions() -> None:
    pod = load_case("init-containers").inject()

    for name in ("app", "helper", "log-shipper"):
        assert environment_of(find_container(pod, name)) == {
            RELATIVE_URI: contract.CREDENTIALS_PATH,
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

    assert after == {**before, RELATIVE_URI: contract.CREDENTIALS_PATH}
    assert any('"static-keys" sets AWS_ACCESS_KEY_ID' in warning for warning in warnings)


def test_irsa_and_pod_identity_variables_are_kept_with_warnings() -> None:
    case = load_case("own-environment")

    pod = case.inject()
    _, warnings = case.build_patch()

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
    container = {"name": "app", "env": [{"name": RELATIVE_URI, "value": contract.CREDENTIALS_PATH}]}

    _, warnings = build_case(containers=[container]).build_patch()

    assert not warnings


def test_operators_endpoint_url_is_set_unless_the_user_has_one() -> None:
    config = CONFIG._replace(aws_endpoint_url="https://store.example")

    pod = load_case("own-environment").inject(config)

    assert environment_of(find_container(pod, "static-keys"))["AWS_ENDPOINT_URL"] == "https://store.example"
    assert environment_of(find_container(pod, "irsa"))["AWS_ENDPOINT_URL"] == "https://s3.example"


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


def test_later_of_two_no_proxy_variables_is_extended() -> None:
    env = [{"name": "HTTP_PROXY", "value": "p"}, *({"name": "NO_PROXY", "value": value} for value in ("a", "b"))]
    case = build_case(containers=[{"name": "app", "env": env}])

    values = [v["value"] for v in find_container(case.inject(), "app")["env"] if v["name"] == "NO_PROXY"]

    assert values == ["a", f"b,{ADDRESSES}"]


def test_container_with_env_from_gets_no_region_and_a_warning() -> None:
    container = {"name": "app", "envFrom": [{"configMapRef": {"name": "settings"}}]}
    case = build_case(containers=[container])
    config = CONFIG._replace(aws_endpoint_url="https://store.example")

    pod = case.inject(config)
    _, warnings = case.build_patch(config)

    assert environment_of(find_container(pod, "app")) == {RELATIVE_URI: contract.CREDENTIALS_PATH}
    assert any('"app" uses envFrom' in warning for warning in warnings)


def test_container_with_env_from_and_a_region_causes_no_warning() -> None:
    own = {"name": "AWS_REGION", "value": "eu-north-1"}
    container = {"name": "app", "env": [own], "envFrom": [{"secretRef": {"name": "settings"}}]}

    _, warnings = build_case(containers=[container]).build_patch()

    assert not warnings
