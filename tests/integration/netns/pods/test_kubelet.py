"""The test node's kubelet: processes see what the pod spec says."""

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import contract
from testing.pods import Image, Node, Pod, PodError
from tests.integration.netns.backends import build_iptables
from tests.integration.netns.conftest import HERE

Run = Callable[..., Pod]

REDIRECT: dict[str, Any] = {
    "name": "podrole-redirect",
    "image": "podrole",
    "command": ["nft", "-D", f"listen={contract.SIDECAR_PORT}", "-f", contract.REDIRECT_RULES],
    "securityContext": {
        "runAsUser": contract.REDIRECT_UID,
        "runAsGroup": contract.REDIRECT_UID,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    },
}
IPTABLES: dict[str, Any] = {
    "name": "podrole-redirect",
    "image": "podrole",
    "command": ["python3", "-m", "sidecar.redirect", "--listen", str(contract.SIDECAR_PORT)],
    "securityContext": {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
    },
}
LISTENER: dict[str, Any] = {
    "name": "listener",
    "image": "podrole",
    "restartPolicy": "Always",
    "command": ["python3", "/test/responder.py", "sidecar", "127.0.0.1,::1", str(contract.SIDECAR_PORT)],
    # the hook waits until the listener responds, so that the app's first request reaches it
    "lifecycle": {
        "postStart": {
            "exec": {
                "command": [
                    "sh",
                    "-c",
                    "until python3 /test/send_probes.py tcp/::1/16925 | grep -q sidecar; do :; done",
                ]
            }
        }
    },
    "securityContext": {"runAsUser": contract.SIDECAR_UID, "readOnlyRootFilesystem": True},
}
SEND_PROBES = ["python3", "/test/send_probes.py", *(f"tcp/{address}/80" for address in contract.METADATA_ADDRESSES)]
HOLD = "touch /tmp/up; while :; do sleep 0.02; done"


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "podrole", "command": ["sh", "-c", script], **fields}


def hook_until_up() -> dict[str, Any]:
    """Return a postStart hook that waits until HOLD has begun, so that everything before it is done."""
    return hook("until test -f /tmp/up; do sleep 0.01; done")


def hook(script: str) -> dict[str, Any]:
    return {"postStart": {"exec": {"command": ["sh", "-c", script]}}}


@pytest.fixture
def run(node: Node, image: Image) -> Iterator[Run]:
    """Create a pod with these containers; it is removed after the test."""
    pods = []
    images = {"podrole": image.with_binds({"/test": HERE})}

    def run(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **fields: Any) -> Pod:
        sources = {key: fields.pop(key) for key in ("token", "config_maps") if key in fields}
        metadata = {"name": "web-0", **fields.pop("metadata", {})}
        spec = {"initContainers": list(init), "containers": list(containers), **fields}
        pods.append(node.pod({"metadata": metadata, "spec": spec}, images, **sources))
        return pods[-1]

    yield run
    for pod in pods:
        pod.remove()


def finish(pod: Pod, name: str = "app") -> str:
    """Start the pod; return its container's output."""
    pod.start()
    assert pod.container(name).wait(timeout_seconds=30) == 0, pod.logs(name)
    return pod.logs(name)


class TestRefusals:
    @pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"])
    def test_pod_with_host_namespaces_is_rejected(self, run: Run, field: str) -> None:
        with pytest.raises(PodError, match=f"spec.{field} is not supported here"):
            run(shell("app", "true"), **{field: True})

    def test_hooks_other_than_post_start_exec_are_rejected(self, run: Run) -> None:
        with pytest.raises(PodError, match=r"container app: lifecycle.postStart: only postStart with exec"):
            run(shell("app", "true", lifecycle={"postStart": {"httpGet": {"port": 80}}}))

    def test_unknown_image_error_lists_known_images(self, run: Run) -> None:
        with pytest.raises(PodError, match="container app: no image absent; there are: podrole"):
            run({"name": "app", "image": "absent"})

    def test_unknown_container_error_lists_known_containers(self, run: Run) -> None:
        pod = run(shell("app", "true"))

        with pytest.raises(PodError, match="no container sidecar in the pod; it has: app"):
            pod.logs("sidecar")

    def test_missing_command_fails_the_start(self, run: Run) -> None:
        pod = run({"name": "app", "image": "podrole", "command": ["no-such-program"]})

        with pytest.raises(PodError, match=r"(?s)container app did not start: .*no-such-program.*not found"):
            pod.start()


class TestOrder:
    def test_init_containers_and_sidecars_start_in_order(self, run: Run) -> None:
        volumes = [{"name": "log", "emptyDir": {}}]
        mounts = [{"name": "log", "mountPath": "/log"}]
        note = "echo {} >> /log/order"
        pod = run(
            shell("app", note.format("app") + "; cat /log/order", volumeMounts=mounts),
            init=(
                shell("first", "sleep 0.2; " + note.format("first"), volumeMounts=mounts),
                shell(
                    "sidecar",
                    note.format("sidecar") + "; exec sleep 300",
                    restartPolicy="Always",
                    lifecycle=hook("sleep 0.2; " + note.format("hook")),
                    volumeMounts=mounts,
                ),
                shell("last", note.format("last"), volumeMounts=mounts),
            ),
            volumes=volumes,
        )

        output = finish(pod)

        assert output.split() == ["first", "sidecar", "hook", "last", "app"]
        assert pod.container("sidecar").is_running
        assert list(pod.timings) == ["first", "sidecar", "sidecar postStart", "last", "app"]
        assert pod.timings["first"] > 0.2
        assert pod.timings["sidecar postStart"] > 0.2

    def test_failed_init_container_stops_the_pod_and_reports_its_output(self, run: Run) -> None:
        pod = run(shell("app", "true"), init=(shell("check", "echo no rules >&2; exit 3"),))

        with pytest.raises(PodError, match="init container check ended with 3:\nno rules"):
            pod.start()

        assert pod.container("app").exit_code is None
        assert pod.logs("app") == ""

    def test_hanging_init_container_is_killed(self, run: Run) -> None:
        pod = run(shell("app", "true"), init=(shell("wait", "echo waiting; exec sleep 300"),))

        with pytest.raises(PodError, match=r"init container wait did not end within 1.5 s and wrote:\nwaiting"):
            pod.start(timeout_seconds=1.5)

        assert pod.container("wait").exit_code == 128 + signal.SIGKILL

    def test_failed_post_start_hook_kills_the_sidecar_and_the_app_never_starts(self, run: Run) -> None:
        late = "until test -f /tmp/up; do sleep 0.01; done; echo late; exit 1"
        sidecar = shell(
            "sidecar", "echo up; touch /tmp/up; exec sleep 300", restartPolicy="Always", lifecycle=hook(late)
        )
        pod = run(shell("app", "true"), init=(sidecar,))

        with pytest.raises(PodError, match=r"(?s)postStart hook of sidecar ended with 1: late.*wrote:\nup"):
            pod.start()

        assert pod.container("sidecar").exit_code == 128 + signal.SIGKILL
        assert pod.container("app").exit_code is None

    def test_hanging_post_start_hook_kills_the_sidecar(self, run: Run) -> None:
        sidecar = shell("sidecar", "exec sleep 300", restartPolicy="Always", lifecycle=hook("exec sleep 300"))
        pod = run(shell("app", "true"), init=(sidecar,))

        with pytest.raises(PodError, match=r"postStart hook of sidecar did not end within 1.5 s"):
            pod.start(timeout_seconds=1.5)

        assert not pod.container("sidecar").is_running

    def test_sidecar_that_exits_during_its_hook_is_reported_with_its_output(self, run: Run) -> None:
        sidecar = shell(
            "sidecar", "sleep 0.2; echo bad configuration; exit 2", restartPolicy="Always", lifecycle=hook("sleep 300")
        )
        pod = run(shell("app", "true"), init=(sidecar,))

        with pytest.raises(
            PodError, match=r"(?s)postStart hook of sidecar.*ended with 2 and wrote:\nbad configuration"
        ):
            pod.start()


class TestSecurity:
    def test_container_without_security_context_has_containerd_capabilities(self, run: Run) -> None:
        pod = run(shell("app", "grep -E '^(Cap(Prm|Eff|Bnd|Amb|Inh)|NoNewPrivs)' /proc/self/status"))

        lines = dict(line.split(":\t") for line in finish(pod).splitlines())

        assert {lines[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"00000000a80425fb"}
        assert lines["CapAmb"] == lines["CapInh"] == "0" * 16
        assert lines["NoNewPrivs"] == "0"

    def test_dropped_capabilities_are_missing(self, run: Run) -> None:
        security = {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}, "allowPrivilegeEscalation": False}
        pod = run(shell("app", "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status", securityContext=security))

        assert finish(pod).split() == ["CapEff:", f"{1 << 12:016x}", "NoNewPrivs:", "1"]

    def test_read_only_root_file_system_leaves_shared_memory_writable(self, run: Run) -> None:
        script = "for d in / /tmp /etc /usr /dev/shm; do touch $d/x 2>/dev/null && echo $d; done; true"
        security = {"readOnlyRootFilesystem": True}
        pod = run(shell("app", script, securityContext=security), shell("other", script))

        output = finish(pod)

        assert output.split() == ["/dev/shm"]
        assert pod.container("other").wait(timeout_seconds=10) == 0
        assert pod.logs("other").split() == ["/", "/tmp", "/etc", "/dev/shm"]

    def test_uids_are_real_as_root_and_always_0_in_a_user_namespace(self, run: Run, node: Node) -> None:
        security = {"runAsUser": 16925, "runAsGroup": 16926, "supplementalGroups": [3000]}
        pod = run(shell("app", "id -u; id -g; id -G", securityContext=security))

        output = finish(pod).splitlines()

        assert output == (["0", "0", "0"] if node.single_user else ["16925", "16926", "16926 3000"])

    def test_private_node_directories_are_not_in_the_container(self, run: Run) -> None:
        pod = run(shell("app", "ls -A / /etc"))

        names = finish(pod).split()

        assert "home" not in names
        assert "shadow" not in names
        assert "app" in names


class TestPod:
    def test_environment_and_arguments_come_from_the_spec(self, run: Run) -> None:
        variables = [
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "BOTH", "value": "$(POD)@$(IP)"},
        ]
        command = ["sh", "-c", 'echo "$BOTH $0 $1 $(pwd) $HOME_IS_NOT_INHERITED"', "$(POD)", "$$(POD)"]
        pod = run({"name": "app", "image": "podrole", "command": command, "env": variables, "workingDir": "/tmp"})

        output = finish(pod)

        assert output == f"web-0@{pod.network.ipv4} web-0 $(POD) /tmp \n"

    def test_environment_of_the_caller_is_not_inherited(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-caller")

        output = finish(run(shell("app", "env")))

        names = {line.partition("=")[0] for line in output.splitlines()}
        assert names == {"HOME", "PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PWD"}

    def test_container_runs_the_same_python_as_the_tests(self, run: Run) -> None:
        script = "import sys, boto3, contract, sidecar; print(sys.prefix, contract.__file__)"
        security = {"runAsUser": 16925, "readOnlyRootFilesystem": True}
        command = ["python3", "-c", script]

        output = finish(run({"name": "app", "image": "podrole", "command": command, "securityContext": security}))

        assert output.split() == [sys.prefix, "/app/contract/__init__.py"]

    def test_token_is_mounted_read_only_and_can_be_renewed(self, run: Run) -> None:
        token = {"audience": contract.TOKEN_AUDIENCE, "expirationSeconds": 900, "path": "token"}
        mount = {"name": contract.TOKEN_VOLUME, "mountPath": contract.TOKEN_DIRECTORY, "readOnly": True}
        pod = run(
            shell("app", "exec sleep 300", volumeMounts=[mount], securityContext={"runAsUser": 1000}),
            volumes=[{"name": contract.TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}],
            token=lambda audience, seconds: f"{audience} {seconds}",
        )
        pod.start()
        before = pod.exec("app", ["cat", contract.TOKEN_FILE]).stdout

        pod.write_token(contract.TOKEN_VOLUME, "renewed")

        assert before == "sts.amazonaws.com 900"
        assert pod.exec("app", ["cat", contract.TOKEN_FILE]).stdout == "renewed"
        assert "Read-only file system" in pod.exec("app", ["touch", f"{contract.TOKEN_DIRECTORY}/x"]).stderr

    def test_writing_a_token_to_another_volume_fails(self, run: Run) -> None:
        pod = run(shell("app", "true"), volumes=[{"name": "data", "emptyDir": {}}])

        with pytest.raises(PodError, match="no volume data with a serviceAccountToken"):
            pod.write_token("data", "token")

    def test_shared_memory_is_shared_within_one_pod_only(self, run: Run) -> None:
        first = run(shell("app", "cat /dev/shm/note"), init=(shell("writer", "echo hello > /dev/shm/note"),))
        second = run(shell("app", "ls -A /dev/shm"))

        assert finish(first) == "hello\n"
        assert finish(second) == ""

    def test_restarted_sidecar_keeps_shared_memory_but_no_files(self, run: Run) -> None:
        script = "cat /dev/shm/note /tmp/note 2>/dev/null; echo again | tee /dev/shm/note > /tmp/note; exec sleep 300"
        sidecar = shell(
            "sidecar", script, restartPolicy="Always", lifecycle=hook("until test -f /tmp/note; do :; done")
        )
        pod = run(shell("app", "exec sleep 300"), init=(sidecar,))
        pod.start()
        first = pod.logs("sidecar")
        code = pod.container("sidecar").kill()

        pod.restart("sidecar")

        assert code == 128 + signal.SIGKILL
        assert first == ""
        assert pod.container("sidecar").is_running
        assert pod.container("app").is_running
        pod.container("sidecar").kill()
        assert pod.logs("sidecar") == "again\n"

    def test_terminate_sends_sigterm_then_sigkill_after_the_grace_period(self, run: Run) -> None:
        polite = shell("polite", f"trap 'exit 0' TERM; {HOLD}", lifecycle=hook_until_up())
        deaf = shell("deaf", f"trap '' TERM; {HOLD}", lifecycle=hook_until_up())
        pod = run(polite, deaf)
        pod.start()

        asked = pod.container("polite").terminate(grace_seconds=20)
        killed = pod.container("deaf").terminate(grace_seconds=0.2)

        assert asked == 0
        assert killed == 128 + signal.SIGKILL

    def test_stop_terminates_the_app_before_the_sidecar(self, run: Run) -> None:
        last = f"trap 'date +%s%N; exit 0' TERM; {HOLD}"
        pod = run(
            shell("app", last, lifecycle=hook_until_up()),
            init=(shell("sidecar", last, restartPolicy="Always", lifecycle=hook_until_up()),),
        )
        pod.start()

        pod.stop(grace_seconds=5)

        assert int(pod.logs("app")) < int(pod.logs("sidecar"))

    def test_generate_name_namespace_and_uid_are_filled_in(self, node: Node, image: Image) -> None:
        manifest = {"metadata": {"generateName": "web-"}, "spec": {"containers": [shell("app", "hostname")]}}

        with node.pod(manifest, {"podrole": image}) as pod:
            output = finish(pod)

        assert re.fullmatch(r"web-.{5}\n", output)
        assert pod.manifest["metadata"]["namespace"] == "default"
        assert len(pod.manifest["metadata"]["uid"]) == 36

    def test_removed_pod_leaves_no_processes(self, node: Node, image: Image) -> None:
        manifest = {"metadata": {"name": "web-0"}, "spec": {"containers": [shell("app", "exec sleep 300")]}}

        with node.pod(manifest, {"podrole": image}) as pod:
            pod.start()
            running = pod.container("app").is_running

        assert running
        assert not pod.container("app").is_running
        assert pod.network.name not in node.run(["ip", "netns", "list"]).stdout

    def test_container_creates_no_cgroup(self, run: Run) -> None:
        pod = run(shell("app", "exec sleep 300"))
        pod.start()

        groups = list(Path("/sys/fs/cgroup").rglob(f"*{pod.container('app').identifier}*"))

        assert pod.container("app").is_running
        assert groups == []


class TestInjectedPod:
    @pytest.mark.parametrize("redirect", [REDIRECT, IPTABLES], ids=["nftables", "iptables"])
    def test_injected_pod_reaches_the_sidecar_and_plain_pod_the_node(self, run: Run, redirect: dict[str, Any]) -> None:
        early = {"name": "early", "image": "podrole", "command": SEND_PROBES}
        app = {"name": "app", "image": "podrole", "command": SEND_PROBES, "securityContext": {"runAsUser": 1000}}
        injected = run(app, init=(redirect, LISTENER, early))
        plain = run(app)

        answers = json.loads(finish(injected))

        assert answers == ["sidecar"] * 5
        assert json.loads(injected.logs("early")) == ["sidecar"] * 5
        assert json.loads(finish(plain)) == ["node"] * 5

    @pytest.mark.parametrize(
        ("redirect", "error"),
        [(REDIRECT, "operation not permitted"), (IPTABLES, "iptables needs NET_ADMIN, which this container lacks")],
        ids=["nftables", "iptables"],
    )
    def test_pod_without_net_admin_does_not_start(self, run: Run, redirect: dict[str, Any], error: str) -> None:
        capabilities = {"drop": ["ALL"], "add": ["NET_RAW"]}
        weak = {**redirect, "securityContext": {**redirect["securityContext"], "capabilities": capabilities}}
        pod = run(shell("app", "true"), init=(weak,))

        with pytest.raises(PodError, match=rf"(?s)init container podrole-redirect ended with .*{error}"):
            pod.start()

        assert pod.container("app").exit_code is None

    def test_legacy_iptables_locks_with_a_read_only_root(self, node: Node, image: Image, tmp_path: Path) -> None:
        build_iptables(tmp_path, "legacy")
        environment = [{"name": "PATH", "value": "/legacy"}]
        init = {**IPTABLES, "env": environment, "command": [sys.executable, *IPTABLES["command"][1:]]}
        app = {"name": "app", "image": "podrole", "command": ["iptables-legacy-save", "-t", "nat"]}
        app["securityContext"] = IPTABLES["securityContext"]
        manifest = {"metadata": {"name": "web-0"}, "spec": {"initContainers": [init], "containers": [app]}}

        with node.pod(manifest, {"podrole": image.with_binds({"/legacy": tmp_path})}) as pod:
            output = finish(pod)

        assert "--to-destination 127.0.0.1:16925" in output

    def test_iptables_without_net_raw_reports_the_missing_capability(self, run: Run) -> None:
        security = {**IPTABLES["securityContext"], "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}
        pod = run(shell("app", "true"), init=({**IPTABLES, "securityContext": security},))

        with pytest.raises(
            PodError, match=r"iptables needs NET_RAW, .* capabilities.add must have NET_ADMIN and NET_RAW"
        ):
            pod.start()
