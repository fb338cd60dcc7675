"""Ways to break the estate: how, the podrole command that names the cause, and the lines that mend it.

`python -m testing.estate.failures` prints them as a table.
"""

from pathlib import Path
from typing import NamedTuple

import yaml

FILE = Path(__file__).with_name("failures.yaml")
COMMAND = "podrole check -n team-a deployment/web"
NAMESPACE, WORKLOAD, ROLE = "team-a", "deployment/web", "reader"
"""The names in lines of failures.yaml and of docs/troubleshooting.md."""


API_SERVER, NODE, BOTH = "api", "node", "both"
LEVELS = {API_SERVER: "a real API server", NODE: "a real cluster", BOTH: "both"}


class Failure(NamedTuple):
    """A failure that one podrole command explains."""

    name: str
    target: str
    """Namespace/kind/name of a workload."""

    code: str
    """Of the finding that names the cause."""

    says: str
    """Words of this finding."""

    mends: str
    """Lines of docs/troubleshooting.md."""

    breaks: str = ""
    """Shell commands. Empty: a mistake that is in the estate."""

    command: str = COMMAND
    """One podrole command a line: the last one names the cause."""

    role: str = ROLE
    is_down: bool = False
    """Whether podrole is why pods are missing: then the command must not end with `0 problems`."""

    tested_on: str = API_SERVER
    """One of LEVELS."""

    def put_in_names(self, text: str) -> str:
        """Put the target's names into lines for team-a, deployment/web and reader."""
        namespace, _, workload = self.target.partition("/")
        for general, own in ((WORKLOAD, workload), (NAMESPACE, namespace), (ROLE, self.role)):
            text = text.replace(general, own)
        return text

    def list_lines(self, text: str) -> list[str]:
        """The lines of `breaks` or `mends`, for this target."""
        return self.put_in_names(text).splitlines()


def load_failures() -> list[Failure]:
    """Load all failures."""
    return [Failure(name, **fields) for name, fields in yaml.safe_load(FILE.read_text()).items()]


def main() -> None:
    """Print a table of the failures. The tests prove that the last command names the cause."""
    print("| failure | podrole commands | the last one | code | tested on |\n|---|---|---|---|---|")
    for each in load_failures():
        *_, last = commands = each.list_lines(each.command)
        print(f"| {each.name} | {len(commands)} | `{last}` | {each.code} | {LEVELS[each.tested_on]} |")


if __name__ == "__main__":
    main()
