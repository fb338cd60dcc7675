"""Prints the estate as manifests: `python -m testing.estate [NAMESPACE...] | kubectl apply -f -`."""

import sys

import yaml

from testing.estate import FILES, build_namespace


def main() -> None:
    names = sys.argv[1:] or [file.stem for file in FILES]
    yaml.safe_dump_all((each for name in names for each in build_namespace(name)), sys.stdout, sort_keys=False)


main()
