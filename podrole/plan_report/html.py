"""A plan as one HTML file: no scripts, nothing from elsewhere, and every text of the cluster escaped."""

import html
from collections.abc import Iterable, Iterator, Sequence

from contract.text import quote
from podrole.findings import Finding, format_counts
from podrole.plan_report.cells import COLUMNS, build_cells, format_namespace, list_summary
from podrole.planning.namespaces import NamespacePlan
from podrole.planning.plan import Plan
from podrole.planning.rows import Row

HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>podrole plan</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #ccc; padding: .3em .5em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #f3f3f3 }
code { font-size: 12px; overflow-wrap: anywhere }
p { margin: .2em 0 }
.problem { color: #a00 } .warning { color: #850 } .unknown { color: #507 } .note, .ok { color: #555 }
</style>
</head>
<body>
<h1>podrole plan</h1>"""
MAX_COMMAND = 1000
FOOT = "</body>\n</html>"


def format_html(plan: Plan) -> str:
    """Format the plan for a browser."""
    summary = "".join(f"<li>{_escape(line)}</li>" for line in [*list_summary(plan), format_counts(plan.sections)])
    lines = [HEAD, f"<ul>{summary}</ul>", *_format_findings(plan.findings)]
    for namespace in plan.namespaces:
        lines += _format_namespace(namespace, plan)
    return "\n".join([*lines, FOOT])


def _format_namespace(namespace: NamespacePlan, plan: Plan) -> Iterator[str]:
    yield f"<h2>{_escape(format_namespace(namespace))}</h2>"
    if namespace.label_command:
        yield f"<p><code>{_escape(quote(namespace.label_command, MAX_COMMAND))}</code></p>"
    yield from _format_findings(namespace.findings)
    if namespace.rows:
        yield "<table>"
        yield f"<tr>{_format_cells(COLUMNS, 'th')}<th>FINDINGS</th></tr>"
        yield from (_format_row(row, plan) for row in namespace.rows)
        yield "</table>"


def _format_row(row: Row, plan: Plan) -> str:
    command, note = quote(row.restart.command, MAX_COMMAND), quote(row.restart.note, MAX_COMMAND)
    parts = [
        f"<p><code>{_escape(quote(row.then.role, MAX_COMMAND))}</code></p>" if row.then.role else "",
        *_format_findings(row.findings),
        f"<p><code>{_escape(command)}</code> {_escape(note)}</p>" if command or note else "",
    ]
    return f"<tr>{_format_cells(build_cells(row, plan), 'td')}<td>{''.join(parts)}</td></tr>"


def _format_cells(cells: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{_escape(cell)}</{tag}>" for cell in cells)


def _format_findings(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        remedy = f" <code>{_escape(one.remedy)}</code>" if one.remedy else ""
        yield f'<p class="{one.level}"><b>{one.level}</b> {_escape(one.text)}{remedy}</p>'


def _escape(text: str) -> str:
    return html.escape(text)
