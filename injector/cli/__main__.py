"""`python -m injector.cli`, where the console script is not at hand."""

from injector.cli import main

main(prog_name="podrole")
