"""Would the chapters pass on another processor? They are run under several numerics profiles, which train differently.

Each profile makes PyTorch, oneDNN and MKL add up in another order, as another machine would, so that two profiles part
as two processors do. All stored outputs must be reproduced, and all assertions hold, in each of them.
"""

import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.notebooks.files import ROOT
from tools.notebooks.tolerance import numbers, value, words
from tools.notebooks.validation import command

_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
_SSE = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
PROFILES: dict[str, dict[str, str]] = {
    "native": {},
    "AVX2": _AVX2,
    "AVX2, compatible": _AVX2 | {"MKL_CBWR": "COMPATIBLE"},
    "SSE4.1, compatible": _SSE,
    "two threads": {"OMP_NUM_THREADS": "2"},
}

Runs = dict[str, list[dict]]  # profile → what each cell of one notebook told (`tools.notebooks.record`)


@dataclass(frozen=True)
class Margin:
    """How near one comparison of an assertion came to failing in any profile, and how far the profiles lie apart."""

    cell: int
    text: str
    smallest: float
    spread: float

    @property
    def safety(self) -> float:
        """The smallest margin in units of the spread: below one, a further processor may well break it."""
        return self.smallest / self.spread if self.spread else float("inf")


def robust(paths: list[Path], workers: int, profiles: Mapping[str, Mapping[str, str]] = PROFILES) -> bool:
    """Run the notebooks under each profile, print what differed, and say whether everything passed everywhere."""
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="robust-") as folder:
        for number, (name, environment) in enumerate(profiles.items()):
            place = Path(folder, str(number))
            place.mkdir()
            options = ["-q", "-p", "no:cacheprovider", "--color=no", "--without-exercises", f"--record={place}"]
            arguments = command(paths, workers, *options, environment=environment)
            print(f"== {name}", flush=True)
            done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                failed[name] = done.stdout + done.stderr
            print("failed" if done.returncode else "passed", flush=True)
        for path in paths:
            print("\n" + "\n".join(report(path.stem, _runs(Path(folder), path.stem, list(profiles)))))
    for name, output in failed.items():
        print(f"\n== {name} failed\n{output}")
    return not failed


def _runs(folder: Path, notebook: str, profiles: list[str]) -> Runs:
    runs = {}
    for number, name in enumerate(profiles):
        file = folder / str(number) / f"{notebook}.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        runs[name] = [json.loads(line) for line in lines]
    return runs


def report(notebook: str, runs: Runs) -> Iterator[str]:
    """The lines about one notebook: cells whose outputs part, then comparisons, those with the least safety first."""
    cells = max((len(told) for told in runs.values()), default=0)
    parted = [line for cell in range(cells) for line in _parted(cell, runs)]
    yield f"{notebook}: {cells} code cells, counted from 0; {cells - len(parted)} show the same under every profile"
    yield from parted
    found = sorted(margins(runs), key=lambda margin: margin.safety)
    loose = [margin for margin in found if margin.spread > 0]
    if loose:
        yield "  assertions whose margin moves, the least safe first (smallest margin, spread over the profiles):"
    for margin in loose:
        yield f"    cell {margin.cell}: {margin.smallest:.2g}, {margin.spread:.2g}  {margin.text}"
    yield f"  {len(found) - len(loose)} of {len(found)} comparisons have the same margin under every profile"


def _parted(cell: int, runs: Runs) -> Iterator[str]:
    """One line when what the cell showed is not the same under every profile."""
    told = [profile[cell] for profile in runs.values() if cell < len(profile)]
    said = []
    if len({"\n".join(map(words, each["texts"])) for each in told}) > 1:
        said.append("other words")
    else:
        written = [[number for text in each["texts"] for number in numbers(text)] for each in told]
        for same_place in zip(*written, strict=True):
            if len(set(same_place)) > 1:
                low, high = min(same_place, key=value), max(same_place, key=value)
                said.append(f"{low} … {high} (spread {value(high) - value(low):.2g})")
    picture = max((each["picture"] for each in told), default=0)
    if picture:
        said.append(f"picture changed by up to {picture:.0%}")
    if said:
        yield f"  cell {cell}: {', '.join(said)}"


def margins(runs: Runs) -> list[Margin]:
    """Each comparison of the notebook's assertions once: of those that a loop repeats, the one with the least safety."""
    seen: dict[tuple[int, str, int], list[float]] = defaultdict(list)
    for profile in runs.values():
        for told in profile:
            counts: dict[str, int] = defaultdict(int)
            for compared in told["margins"]:
                text = compared["text"]
                seen[told["cell"], text, counts[text]].append(compared["margin"])
                counts[text] += 1
    least: dict[tuple[int, str], Margin] = {}
    for (cell, text, _), found in seen.items():
        margin = Margin(cell, text, min(found), max(found) - min(found))
        known = least.get((cell, text))
        if known is None or (margin.safety, margin.smallest) < (known.safety, known.smallest):
            least[cell, text] = margin
    return list(least.values())
