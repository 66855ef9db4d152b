"""Time two functions that do the same work, in turn, and say how they compare.

A single duration says more about the machine's other tenants than about the code. Each round here times
ours and the reference back to back, so that a busy neighbour slows both, and the round's result is their
ratio. What is reported is the median ratio of many rounds, with its quartiles. Time is that of the processor,
which stands still while another process has the core.
"""

import gc
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

__all__ = [
    "Row",
    "Suite",
    "Table",
    "compare",
    "format_table",
    "from_times",
    "geometric_mean",
    "measured_now",
    "read_results",
    "write_results",
]


@dataclass(frozen=True)
class Row:
    """One comparison. Times are median seconds a call, of the processor unless the suite says otherwise; ``ratio`` is ours over the reference, lower is better.

    ``quartiles`` are the first and third of the per-round ratios. A summary over rows has neither. ``errors``
    are ours and the reference's, where both approximate what is known better.
    """

    name: str
    ratio: float
    ours: float | None = None
    reference: float | None = None
    quartiles: tuple[float, float] | None = None
    target: float | None = None
    errors: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the ratio reaches the target; None where no target is set."""
        return None if self.target is None else self.ratio <= self.target


@dataclass(frozen=True)
class Table:
    """Rows that belong together, under a key that a page can ask for."""

    key: str
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Suite:
    """The tables of one run, with where, when and with what they were measured."""

    measured: dict[str, str]
    tables: tuple[Table, ...]


def compare(
    name: str,
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    target: float | None = None,
    rounds: int = 15,
    seconds: float = 0.02,
    errors: tuple[float, float] | None = None,
) -> Row:
    """Run both functions in turn for some rounds; each timing repeats its function for about ``seconds``.

    ``errors``, ours and the reference's, are measured by the caller and kept beside the times.

    Raises:
        ValueError: fewer than 3 rounds, which have no quartiles to speak of.
    """
    if rounds < 3:
        raise ValueError(f"rounds must be at least 3, got {rounds}")
    repeats = {function: _repeats(function, seconds) for function in (ours, reference)}
    times = {ours: [], reference: []}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection would fall into one side's time and not the other's
    try:
        for turn in range(rounds):
            # Every other round the reference goes first: whoever runs second finds warmer caches.
            for function in (ours, reference) if turn % 2 == 0 else (reference, ours):
                times[function].append(_time(function, repeats[function]))
    finally:
        if collecting:
            gc.enable()
    return from_times(name, times[ours], times[reference], target=target, errors=errors)


def from_times(
    name: str,
    ours: Sequence[float],
    reference: Sequence[float],
    *,
    target: float | None = None,
    errors: tuple[float, float] | None = None,
) -> Row:
    """Make a row of the seconds that both sides took in each round."""
    ratios = [a / b for a, b in zip(ours, reference, strict=True)]
    first, median, third = statistics.quantiles(ratios, n=4, method="inclusive")
    return Row(
        name,
        ratio=median,
        ours=statistics.median(ours),
        reference=statistics.median(reference),
        quartiles=(first, third),
        target=target,
        errors=errors,
    )


def geometric_mean(rows: Iterable[Row], *, target: float | None = None) -> Row:
    """Summarise ratios: the mean under which twice as fast and twice as slow cancel."""
    return Row("geometric mean", ratio=math.exp(statistics.fmean(math.log(row.ratio) for row in rows)), target=target)


def measured_now() -> dict[str, str]:
    """Describe the machine, the versions and the day, for the reader of a ratio."""
    return {
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",  # one name, many generations
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def format_table(table: Table) -> str:
    """Lay a table out for a terminal."""
    lines = [table.title, f"  {'':44} {'ours':>9} {'reference':>10} {'ratio':>6}  {'quartiles':11} {'target':>7}"]
    for row in table.rows:
        times = "".join(f"{_milliseconds(value):>10}" for value in (row.ours, row.reference))
        spread = "" if row.quartiles is None else "{:.2f}–{:.2f}".format(*row.quartiles)
        target = "" if row.target is None else f"≤ {row.target:.2f}"
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        errors = "" if row.errors is None else "  error {:.1e}, reference {:.1e}".format(*row.errors)
        lines.append(f"  {row.name:44}{times} {row.ratio:7.2f}  {spread:11} {target:>7} {verdict}{errors}".rstrip())
    return "\n".join(lines)


def write_results(path: Path, suites: dict[str, Suite]) -> None:
    """Write suites as JSON, with each row's verdict spelled out; suites already in the file and not given stay."""
    suites = {**(read_results(path) if path.exists() else {}), **suites}
    document = {name: asdict(suite) for name, suite in sorted(suites.items())}
    for name, suite in document.items():
        for table, kept in zip(suite["tables"], suites[name].tables, strict=True):
            for row, original in zip(table["rows"], kept.rows, strict=True):
                row["met"] = original.met
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_results(path: Path) -> dict[str, Suite]:
    """Read what :func:`write_results` wrote."""
    return {
        name: Suite(
            measured=suite["measured"],
            tables=tuple(
                Table(table["key"], table["title"], tuple(map(_row, table["rows"]))) for table in suite["tables"]
            ),
        )
        for name, suite in json.loads(path.read_text(encoding="utf-8")).items()
    }


def _row(fields: dict) -> Row:
    stored = {name: value for name, value in fields.items() if name != "met"}  # met follows from ratio and target
    pairs = {name: tuple(stored[name]) for name in ("quartiles", "errors") if stored.get(name)}
    return Row(**{**stored, **pairs})


def _repeats(function: Callable[[], object], seconds: float) -> int:
    function()  # the first call pays for allocation and lazy initialisation
    return max(1, round(seconds / max(_time(function, 1), 1e-9)))


def _time(function: Callable[[], object], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.3f} ms"


def _processor() -> str:
    """Name the processor; Linux keeps it in a file, elsewhere the platform module knows."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()
