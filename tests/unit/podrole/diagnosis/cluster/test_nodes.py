"""The checks of the API server and the nodes."""

from typing import Any

import pytest

from tests.unit.podrole.diagnosis.states import (
    SAFE,
    build_deployment,
    build_node,
    diagnose_with,
    find_texts,
    list_concerns_with,
)

OLD_SERVER = {"gitVersion": "v1.30.9-eks-1"}
CONFIRMED = build_deployment(SAFE | {"PODROLE_NATIVE_SIDECARS_CONFIRMED": "true"})
ENV_ONLY = build_deployment(SAFE | {"PODROLE_MODE": "env"})
REDIRECT_ONLY = build_deployment(SAFE | {"PODROLE_MODE": "redirect"})
VIRTUAL = build_node() | {"metadata": {"name": "aci", "labels": {"type": "virtual-kubelet"}}}
FARGATE = build_node() | {"metadata": {"labels": {"eks.amazonaws.com/compute-type": "fargate"}}}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        pytest.param({"version": {}}, ["ApiServerVersionUnknown"], id="api-server-without-version"),
        pytest.param({"version": {"gitVersion": "v1.28.0"}}, ["ApiServerTooOld"], id="api-server-too-old"),
        pytest.param({"version": OLD_SERVER}, ["NativeSidecarsNotConfirmed"], id="not-confirmed"),
        pytest.param({"version": OLD_SERVER, "deployment": CONFIRMED}, [], id="confirmed"),
        pytest.param(
            {"version": OLD_SERVER, "nodes": [build_node("v1.28.3")]}, ["KubeletsTooOld"], id="kubelet-too-old"
        ),
        pytest.param(
            {"version": OLD_SERVER, "nodes": [build_node("v1.28.3")], "deployment": CONFIRMED},
            ["NativeSidecarsWronglyConfirmed"],
            id="kubelet-too-old-but-confirmed",
        ),
        pytest.param(
            {"nodes": [build_node(), build_node(system="windows"), build_node(cpu="arm64")]},
            [],
            id="windows-and-arm64-nodes",
        ),
        pytest.param(
            {"nodes": [FARGATE], "deployment": REDIRECT_ONLY}, ["FargateNodesRedirected"], id="fargate-without-env-mode"
        ),
        pytest.param({"nodes": [FARGATE]}, [], id="fargate-node"),
        pytest.param({"nodes": [VIRTUAL]}, ["VirtualNodes"], id="virtual-kubelet"),
    ],
)
def test_node_problem_is_the_only_concern(changes: dict[str, Any], codes: list[str]) -> None:
    assert list_concerns_with(**changes) == codes


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        pytest.param({"nodes": []}, "NoNodes", "The cluster has no nodes.", id="no-nodes"),
        pytest.param(
            {"nodes": [build_node(system="windows", name="w1")]}, "WindowsNodes", "request a role: w1.", id="windows"
        ),
        pytest.param(
            {"nodes": [build_node(), build_node(cpu="arm64")]}, "MixedArchitectures", "(amd64, arm64)", id="arm64"
        ),
        pytest.param(
            {"version": OLD_SERVER, "deployment": None, "webhooks": []},
            "NativeSidecarsConfirmationNeeded",
            "needs PODROLE_NATIVE_SIDECARS_CONFIRMED=true. Every kubelet of this cluster supports",
            id="confirmation-needed-before-installation",
        ),
    ],
)
def test_node_property_is_reported_as_a_note(changes: dict[str, Any], code: str, text: str) -> None:
    (finding,) = [finding for finding in diagnose_with(**changes) if finding.code == code]

    assert finding.level == "note"
    assert text in finding.text


@pytest.mark.parametrize(
    ("deployment", "code", "text", "remedy"),
    [
        pytest.param(build_deployment(SAFE), "FargateNodes", "(EKS sets it) get env mode", "", id="auto"),
        pytest.param(None, "FargateNodes", "(EKS sets it) get env mode", "", id="before-installation"),
        pytest.param(ENV_ONLY, "FargateNodes", "(EKS sets it) get env mode", "", id="env"),
        pytest.param(
            REDIRECT_ONLY,
            "FargateNodesRedirected",
            "injected pods cannot start there",
            "Set PODROLE_MODE=auto",
            id="redirect",
        ),
    ],
)
def test_fargate_needs_another_mode_only_where_every_pod_is_redirected(
    deployment: Any, code: str, text: str, remedy: str
) -> None:
    [finding] = [one for one in diagnose_with(nodes=[FARGATE], deployment=deployment) if one.code.startswith("Fargate")]

    assert finding.code == code
    assert text in finding.text
    assert (finding.remedy or "").startswith(remedy)
    assert bool(finding.remedy) == bool(remedy)


def test_long_list_of_nodes_is_shortened_and_counted() -> None:
    nodes = [build_node("v1.28.1", name=f"n{index}") for index in range(8)]

    (text,) = find_texts(diagnose_with(nodes=nodes), "KubeletsTooOld")

    assert text.endswith("n3 (v1.28.1), n4 (v1.28.1) and 3 more.")
