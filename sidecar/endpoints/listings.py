"""EC2's listings: what a GET of a directory returns. Agents ask for them to learn the IMDS version and what there is.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from collections.abc import Iterable

ROOT = "/"
LATEST = "/latest"

VERSIONS = """\
1.0 2007-01-19 2007-03-01 2007-08-29 2007-10-10 2007-12-15 2008-02-01 2008-09-01 2009-04-04 2011-01-01 2011-05-01
2012-01-12 2014-02-25 2014-11-05 2015-10-20 2016-04-19 2016-06-30 2016-09-02 2018-03-28 2018-08-17 2018-09-24
2019-10-01 2020-10-27 2021-01-03 2021-03-23 2021-07-15 2022-09-24 2024-04-11 latest"""
"""EC2's own, as programs choose the newest that they know. Each of them means latest, see `request_filter`."""


def build_listings(paths: Iterable[str]) -> dict[str, str]:
    """Return the directories that lead to these paths, and the list of each: one name a line, no newline at the end.

    A directory ends in a slash, but not in the list of a version: EC2 has `meta-data` there.
    """
    children: dict[str, set[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        while parent.startswith(LATEST):
            children.setdefault(parent, set()).add(name)
            separator = "" if parent.rpartition("/")[0] == LATEST else "/"
            parent, _, name = parent.rpartition("/")
            name += separator
    return {ROOT: VERSIONS.replace(" ", "\n"), **{path: "\n".join(sorted(names)) for path, names in children.items()}}
