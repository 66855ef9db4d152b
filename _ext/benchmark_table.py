"""The benchmarks' stored results as tables of the book.

``{benchmark-table} convolution`` shows the tables of one suite of ``benchmarks/results.json``,
``{benchmark-table} convolution/fast`` one table of it, and ``{benchmark-machine} convolution`` says in a sentence on
which machine, with which versions and on which day the suite was measured.
"""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RESULTS = "benchmarks/results.json"
# The ratio stands next to the name: on a phone the columns behind it have to be scrolled to.
COLUMNS = ("What", "Ratio", "Middle half", "Target", "Error, ours", "Error, reference", "Ours, ms", "Reference, ms")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class _Stored(SphinxDirective):
    """A directive whose argument names a suite of the stored results."""

    required_arguments = 1

    def suite(self, name: str) -> dict:
        """Read one suite; the page is built anew when the results change."""
        path = Path(self.env.srcdir, RESULTS)
        self.env.note_dependency(str(path))
        results = json.loads(path.read_text(encoding="utf-8"))
        if name not in results:
            raise self.error(f"no suite {name!r} in {RESULTS}, which has {', '.join(results)}")
        return results[name]


class BenchmarkTable(_Stored):
    """``{benchmark-table} suite`` or ``{benchmark-table} suite/table``."""

    def run(self) -> list[nodes.Node]:
        name, _, key = self.arguments[0].partition("/")
        tables = self.suite(name)["tables"]
        chosen = [table for table in tables if key in ("", table["key"])]
        if not chosen:
            keys = ", ".join(table["key"] for table in tables)
            raise self.error(f"no table {key!r} in the suite {name!r}, which has {keys}")
        return [table_node(table) for table in chosen]


class BenchmarkMachine(_Stored):
    """``{benchmark-machine} suite``."""

    def run(self) -> list[nodes.Node]:
        sentence = provenance(self.suite(self.arguments[0])["measured"])
        return [nodes.paragraph(sentence, sentence)]


def table_node(table: dict) -> nodes.table:
    """One comparison a line; no column of targets or errors where no line has one."""
    rows = [cells(row) for row in table["rows"]]
    optional = ("Target", "Error, ours", "Error, reference")
    kept = [place for place, name in enumerate(COLUMNS) if name not in optional or any(row[place] for row in rows)]
    lines = [tuple(line[place] for place in kept) for line in (COLUMNS, *rows)]
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in lines[0]), cols=len(lines[0]))
    group += nodes.thead("", row_node(lines[0]))
    group += nodes.tbody("", *map(row_node, lines[1:]))
    title = nodes.title(table["title"], table["title"])
    return nodes.table("", title, group, classes=["benchmark-table"])


def row_node(texts: tuple[str, ...]) -> nodes.row:
    """A line of the table from its texts, all but the name to the right, as numbers like it."""
    row = nodes.row("", *(nodes.entry("", nodes.paragraph(text, text)) for text in texts))
    for entry in row[1:]:
        entry["classes"].append("sd-text-right")
    return row


def cells(row: dict) -> tuple[str, ...]:
    """What a reader sees of one comparison; a verdict is a word, not a colour."""
    low_high = row["quartiles"]
    target, errors = row["target"], row.get("errors")
    verdict = {True: "met", False: "missed", None: ""}[row["met"]]
    return (
        row["name"],
        f"{row['ratio']:.2f}",
        "" if low_high is None else f"{low_high[0]:.2f}–{low_high[1]:.2f}",
        "" if target is None else f"≤ {target:.2f}, {verdict}",
        *(("", "") if errors is None else map(_share, errors)),
        _milliseconds(row["ours"]),
        _milliseconds(row["reference"]),
    )


def provenance(measured: dict[str, str]) -> str:
    """Where, with what and when the ratios were measured."""
    threads = "one thread" if measured["threads"] == "1" else f"{measured['threads']} threads"
    return (
        f"Measured on {measured['date']} with {threads} of {measured['cores']} cores, {measured['processor']} "
        f"({measured['system']}), Python {measured['python']}, torch {measured['torch']}."
    )


def _share(error: float) -> str:
    """A relative error: as a plain number from a thousandth up, else as a power of ten."""
    if error == 0 or error >= 1e-3:
        return f"{error:.2g}"
    digits, exponent = f"{error:.0e}".split("e-")
    return f"{digits} · 10⁻{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.2f}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("benchmark-table", BenchmarkTable)
    app.add_directive("benchmark-machine", BenchmarkMachine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
