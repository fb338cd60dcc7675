"""The environment of the apps in these tests."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from testing.progress import print_progress
from tests.integration.sdk.apps import build_image
from tests.integration.sdk.build import BuildError, Program, ToolMissingError, build, find_tools, may_skip
from tests.integration.sdk.sdk_environment import IDENTITY_PORT, Case, SdkEnvironment
from tests.integration.sdk.table import SDKS

ENVIRONMENT = dict(os.environ)
"""As the run was started: package managers may need a proxy, which the tests' environment does not have."""

REQUIRED = ENVIRONMENT.get("PODROLE_TEST_SDKS") == "required"

Unbuilt = ToolMissingError | BuildError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> dict[str, Program | Unbuilt]:
    """The programs of the SDKs that selected tests need, by name, or why one could not be built."""
    return {name: build_or_explain(name, request.config) for name, _ in find_cases(request.session)}


def build_or_explain(name: str, config: pytest.Config) -> Program | Unbuilt:
    sdk = SDKS[name]
    try:
        return build(sdk, find_tools(sdk), ENVIRONMENT, lambda line: print_progress(config, line))
    except (ToolMissingError, BuildError) as error:
        return error


def find_cases(session: pytest.Session) -> list[Case]:
    """The SDKs and ways that selected tests need."""
    here = [item for item in session.items if item.path == Path(__file__).with_name("test_sdks.py")]
    specs = [item.callspec for item in here if isinstance(item, pytest.Function)]
    return list(dict.fromkeys(cast("Case", spec.params["case"]) for spec in specs))


@pytest.fixture(scope="session")
def sdk_environment(request: pytest.FixtureRequest, programs: dict[str, Program | Unbuilt]) -> Iterator[SdkEnvironment]:
    """Where all SDKs run. If SDKs are required, a machine that cannot run pods is a failure."""
    try:
        demo_node = request.getfixturevalue("demo_node")
    except pytest.skip.Exception as reason:
        if REQUIRED:
            pytest.fail(str(reason))
        raise
    built = {case: programs[case[0]] for case in find_cases(request.session)}
    runnable = {case: program for case, program in built.items() if isinstance(program, Program)}
    image = build_image(demo_node, [program.argv[0] for program in runnable.values()])
    with tempfile.TemporaryDirectory(prefix="podrole-sdks-") as directory:
        environment = SdkEnvironment(demo_node, image, runnable, Path(directory))
        with environment.sts("identity", IDENTITY_PORT):
            yield environment


@pytest.fixture
def case(request: pytest.FixtureRequest, programs: dict[str, Program | Unbuilt]) -> Case:
    """An SDK on one way. Skips if its program could not be built, or fails if it is required."""
    chosen: Case = request.param
    program = programs[chosen[0]]
    if isinstance(program, Program):
        return chosen
    if may_skip(SDKS[chosen[0]], program, required=REQUIRED):
        pytest.skip(str(program))
    pytest.fail(str(program))
