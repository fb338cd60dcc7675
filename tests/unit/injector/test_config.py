from pathlib import Path

import pytest

from injector.config import Config
from injector.errors import ConfigError
from injector.value_types import PodsWithoutRole, RedirectBackend
from testing.cases import ENVIRON


def refusal_of(environ: dict[str, str], *, with_tls: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(environ, with_tls=with_tls)
    return str(caught.value)


def test_one_error_has_all_problems() -> None:
    environ = {
        "PODROLE_REGION": "Europe",
        "PODROLE_ACCOUNT_ID": "1111",
        "PODROLE_REDIRECT_BACKEND": "ebpf",
        "PODROLE_PODS_WITHOUT_ROLE": "allow",
        "PODROLE_STS_ENDPOINT": "sts.example",
        "PODROLE_WEBHOOK_PORT": "65536",
        "PODROLE_NAMESPACE": "podrole.system",
        "PODROLE_SERVICE": "Podrole",
        "PODROLE_CLUSTER_DOMAIN": "cluster.local.",
        "PODROLE_CERTIFICATE_SECRET": "certs/podrole",
        "PODROLE_WEBHOOK_CONFIGURATION": "-",
    }

    message = refusal_of(environ, with_tls=True)

    for key in (*environ, "PODROLE_SIDECAR_IMAGE"):
        assert f"{key} is " in message
    assert "'ebpf': it must be nftables or iptables" in message


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        pytest.param({"PODROLE_CREDENTIAL_SOURCE": "node"}, "the credential source node", id="source-node"),
        pytest.param(
            {"PODROLE_ALLOW_OVERRIDES": "mode,metadata-passthrough"},
            "the override metadata-passthrough",
            id="pass-through",
        ),
    ],
)
def test_closed_metadata_contradicts_what_needs_the_nodes_metadata(changes: dict[str, str], needs: str) -> None:
    message = refusal_of(ENVIRON | changes | {"PODROLE_REQUIRE_CLOSED_METADATA": "true"})

    assert f"PODROLE_REQUIRE_CLOSED_METADATA is true: {needs} needs the node's metadata" in message
    Config.from_environ(ENVIRON | changes | {"PODROLE_REQUIRE_CLOSED_METADATA": "false"})


def test_certificate_is_self_managed_without_files() -> None:
    config = Config.from_environ(ENVIRON, with_tls=True)

    assert (config.tls_cert, config.tls_key) == (None, None)
    assert (config.namespace, config.service, config.cluster_domain) == (
        "podrole-system",
        "podrole-injector",
        "cluster.local",
    )
    assert config.certificate_secret == "podrole-injector-certs"
    assert config.webhook_configuration == "podrole-injector"


def test_certificate_files_are_required_with_manifests() -> None:
    message = refusal_of({**ENVIRON, "PODROLE_MANIFESTS": "/manifests"}, with_tls=True)

    assert "PODROLE_TLS_CERT is not set" in message
    assert "PODROLE_TLS_KEY is not set" in message


@pytest.mark.parametrize(("given", "missing"), [("CERT", "KEY"), ("KEY", "CERT")])
def test_certificate_without_its_key_is_rejected(given: str, missing: str) -> None:
    message = refusal_of({**ENVIRON, f"PODROLE_TLS_{given}": "/tls/file"})

    assert f"PODROLE_TLS_{missing} is not set" in message


@pytest.mark.parametrize(
    "base",
    ["arn:aws:iam::1:role/", "arn:aws:iam::111122223333:role", "arn:aws:iam::111122223333:role/team", "role/"],
)
def test_base_arn_must_end_with_a_slash(base: str) -> None:
    assert "PODROLE_BASE_ROLE_ARN is" in refusal_of({**_without_account(), "PODROLE_BASE_ROLE_ARN": base})


def test_account_and_base_arn_are_mutually_exclusive() -> None:
    message = refusal_of({**ENVIRON, "PODROLE_BASE_ROLE_ARN": "arn:aws:iam::111122223333:role/"})

    assert "are both set" in message


def test_passthrough_paths_without_the_override_are_refused() -> None:
    paths = {"PODROLE_METADATA_PASSTHROUGH_PATHS": "meta-data/mac"}

    assert "set without the override metadata-passthrough" in refusal_of(ENVIRON | paths)
    Config.from_environ(ENVIRON | paths | {"PODROLE_ALLOW_OVERRIDES": "mode,metadata-passthrough"})


@pytest.mark.parametrize("path", ["meta-data/iam/info", "user-data", "meta-data/*"])
def test_passthrough_paths_with_the_nodes_credentials_are_refused(path: str) -> None:
    overrides = {"PODROLE_ALLOW_OVERRIDES": "metadata-passthrough"}

    message = refusal_of(ENVIRON | overrides | {"PODROLE_METADATA_PASSTHROUGH_PATHS": f"meta-data/mac,{path}"})

    assert "without the node's credentials, user data and signatures" in message


def test_required_sts_endpoint_that_is_not_set_is_refused() -> None:
    required = ENVIRON | {"PODROLE_REQUIRE_STS_ENDPOINT": "true"}

    assert "PODROLE_REQUIRE_STS_ENDPOINT is true: set PODROLE_STS_ENDPOINT" in refusal_of(required)
    assert Config.from_environ(required | {"PODROLE_STS_ENDPOINT": "https://store.example"}).require_sts_endpoint
    assert not Config.from_environ(ENVIRON | {"PODROLE_REQUIRE_STS_ENDPOINT": "false"}).require_sts_endpoint


@pytest.mark.parametrize("variable", ["PODROLE_STS_ENDPOINT", "PODROLE_STS_PROXY", "PODROLE_AWS_ENDPOINT_URL"])
@pytest.mark.parametrize("url", ["https://me:pass/w0rd@host x", "me:pass/w0rd@host", "ftp://host?pass/w0rd"])
def test_refusal_of_a_url_does_not_repeat_its_password(variable: str, url: str) -> None:
    message = refusal_of(ENVIRON | {variable: url})

    assert f"{variable} is " in message
    assert "w0rd" not in message


def test_client_name_without_a_client_ca_is_refused() -> None:
    message = refusal_of({**ENVIRON, "PODROLE_CLIENT_NAME": "kube-apiserver"})

    assert "PODROLE_CLIENT_NAME is set without PODROLE_CLIENT_CA" in message


def test_base_arn_must_be_in_the_partition_of_the_region() -> None:
    message = refusal_of({**_without_account(), "PODROLE_BASE_ROLE_ARN": "arn:aws-cn:iam::111122223333:role/"})

    assert "in partition aws-cn, but PODROLE_REGION is in aws" in message


def test_unset_variables_have_their_defaults() -> None:
    config = Config.from_environ(ENVIRON)

    assert config == Config(
        sidecar_image=ENVIRON["PODROLE_SIDECAR_IMAGE"],
        region="eu-west-1",
        account_id="111122223333",
    )
    assert config.role_arn_prefix == "arn:aws:iam::111122223333:role/"
    assert (config.redirect_backend, config.pods_without_role, config.webhook_port) == ("nftables", "block", 9443)


def test_empty_variable_is_unset() -> None:
    empty = dict.fromkeys(
        ("PODROLE_STS_ENDPOINT", "PODROLE_REDIRECT_BACKEND", "PODROLE_TEMPLATE", "PODROLE_WEBHOOK_PORT"), ""
    )

    assert Config.from_environ({**ENVIRON, **empty}) == Config.from_environ(ENVIRON)


def test_variables_set_their_fields() -> None:
    config = Config.from_environ(
        {
            **_without_account(),
            "PODROLE_BASE_ROLE_ARN": "arn:aws:iam::111122223333:role/pods/",
            "PODROLE_STS_ENDPOINT": "https://sts.example:8443",
            "PODROLE_AWS_ENDPOINT_URL": "https://store.example/path",
            "PODROLE_REDIRECT_BACKEND": "iptables",
            "PODROLE_PODS_WITHOUT_ROLE": "ignore",
            "PODROLE_MANIFESTS": "/manifests",
            "PODROLE_TEMPLATE": "/template.yaml",
            "PODROLE_TLS_CERT": "/tls/tls.crt",
            "PODROLE_TLS_KEY": "/tls/tls.key",
            "PODROLE_NAMESPACE": "roles",
            "PODROLE_SERVICE": "webhook",
            "PODROLE_CLUSTER_DOMAIN": "k8s.example.com",
            "PODROLE_CERTIFICATE_SECRET": "certs.podrole",
            "PODROLE_WEBHOOK_CONFIGURATION": "podrole.example.com",
            "PODROLE_WEBHOOK_HOST": "::1",
            "PODROLE_WEBHOOK_PORT": "0",
        },
        with_tls=True,
    )

    assert config == Config(
        sidecar_image=ENVIRON["PODROLE_SIDECAR_IMAGE"],
        region="eu-west-1",
        base_role_arn="arn:aws:iam::111122223333:role/pods/",
        sts_endpoint="https://sts.example:8443",
        aws_endpoint_url="https://store.example/path",
        redirect_backend=RedirectBackend.IPTABLES,
        pods_without_role=PodsWithoutRole.IGNORE,
        manifests=Path("/manifests"),
        template=Path("/template.yaml"),
        tls_cert=Path("/tls/tls.crt"),
        tls_key=Path("/tls/tls.key"),
        namespace="roles",
        service="webhook",
        cluster_domain="k8s.example.com",
        certificate_secret="certs.podrole",
        webhook_configuration="podrole.example.com",
        webhook_host="::1",
        webhook_port=0,
    )


def _without_account() -> dict[str, str]:
    return {key: value for key, value in ENVIRON.items() if key != "PODROLE_ACCOUNT_ID"}
