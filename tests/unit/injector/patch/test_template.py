import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import contract
from injector.errors import ConfigError
from injector.patch.template import SHIPPED, Template, load_template
from testing.cases import CONFIG, find_container, load_case

Document = dict[str, Any]


def shipped() -> Document:
    document: Document = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    return copy.deepcopy(document)


def set_uid(document: Document) -> None:
    document["sidecar"]["securityContext"]["runAsUser"] = 0


def drop_token(document: Document) -> None:
    document["sidecar"]["volumeMounts"] = []


def rename(document: Document) -> None:
    document["block"]["iptables"]["name"] = "redirect"


def drop_variable(document: Document) -> None:
    document["sidecar"]["env"] = [v for v in document["sidecar"]["env"] if v["name"] != contract.ENV_SESSION_NAME]


def misspell(document: Document) -> None:
    document["sidecar"]["image"] = "$SIDECAR_IMGE"


def misplace(document: Document) -> None:
    document["sidecar"]["workingDir"] = "$ROLE_ARN"


def change_port(document: Document) -> None:
    document["redirect"]["nftables"]["command"][2] = "listen=8080"


def change_user(document: Document) -> None:
    document["redirect-node"]["iptables"]["command"][-1] = "0"


def let_everybody_pass(document: Document) -> None:
    document["redirect"]["nftables"]["command"] = document["redirect-node"]["nftables"]["command"]


def fix_audience(document: Document) -> None:
    document["token"]["projected"]["sources"][0]["serviceAccountToken"]["audience"] = "sts.amazonaws.com"


def drop_audience(document: Document) -> None:
    del document["token"]["projected"]["sources"][0]["serviceAccountToken"]["audience"]


def make_ordinary(document: Document) -> None:
    del document["sidecar"]["restartPolicy"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_uid, "sidecar.securityContext.runAsUser is 0"),
        (drop_token, f"the volume at {contract.TOKEN_DIRECTORY} of sidecar is None"),
        (rename, "block.iptables.name is 'redirect'"),
        (drop_variable, "sidecar.env does not set PODROLE_SESSION_NAME"),
        (misspell, "$SIDECAR_IMGE is not a placeholder"),
        (misplace, "$ROLE_ARN is not a placeholder for other parts"),
        (change_port, "the sidecar's port in redirect.nftables.command"),
        (change_user, "the sidecar's user in redirect-node.iptables.command is '0': the sidecar needs '16925'"),
        (let_everybody_pass, "the sidecar's user in redirect.nftables.command is '16925': the sidecar needs None"),
        (fix_audience, "token.audience is 'sts.amazonaws.com': the sidecar needs '$AUDIENCE'"),
        (drop_audience, "token.audience is None: the sidecar needs '$AUDIENCE'"),
        (make_ordinary, "sidecar.restartPolicy is None"),
    ],
)
def test_template_that_violates_the_contract_is_rejected(edit: Callable[[Document], None], message: str) -> None:
    document = shipped()
    edit(document)

    with pytest.raises(ConfigError) as caught:
        Template.from_document(document, CONFIG)

    assert message in str(caught.value)


def test_one_error_has_all_problems_of_a_template() -> None:
    document = shipped()
    for edit in (set_uid, drop_token, misspell):
        edit(document)

    with pytest.raises(ConfigError) as caught:
        Template.from_document(document, CONFIG)

    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    "document",
    [None, [], "text", {}, {"sidecar": {}}, {"sidecar": {"name": "podrole-sidecar"}}],
    ids=["null", "list", "text", "empty", "empty-sidecar", "only-a-name"],
)
def test_document_of_another_type_is_rejected(document: object) -> None:
    with pytest.raises(ConfigError, match="invalid template"):
        Template.from_document(document, CONFIG)


@pytest.mark.parametrize("text", [None, "a: [", "\x00"])
def test_unreadable_template_is_named_in_the_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "template.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_template(CONFIG._replace(template=path))

    assert str(path) in str(caught.value)


def test_misspelt_variable_of_the_sidecar_is_refused() -> None:
    document = shipped()
    document["sidecar"]["env"] += [
        {"name": "PODROLE_INSTANCE_IDS", "value": "i-0123456789abcdef0"},
        {"name": "AWS_USE_FIPS", "value": "true"},
    ]

    with pytest.raises(ConfigError) as caught:
        Template.from_document(document, CONFIG)

    assert str(caught.value).splitlines()[1:] == [
        "  sidecar.env: PODROLE_INSTANCE_IDS is not a setting; did you mean PODROLE_INSTANCE_ID?"
    ]


def test_edited_template_is_used(tmp_path: Path) -> None:
    document = shipped()
    document["sidecar"]["env"].append({"name": "PODROLE_INSTANCE_ID", "value": "i-0123456789abcdef0"})
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump(document))

    sidecar = find_container(load_case("role-on-the-pod").inject(CONFIG._replace(template=path)), "podrole-sidecar")

    assert {"name": "PODROLE_INSTANCE_ID", "value": "i-0123456789abcdef0"} in sidecar["env"]
