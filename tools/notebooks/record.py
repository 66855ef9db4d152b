"""What the cells of a notebook showed in one run, kept for a comparison of several runs."""

import json
from collections import defaultdict
from pathlib import Path

from nbformat import NotebookNode
from nbval.plugin import IPyNbCell

from tools.notebooks.pictures import largest_change

_MARGINS = Path(__file__).with_name("margins.py")
_PATIENCE = 30  # seconds


def begin_record(item: IPyNbCell) -> None:
    """Before a notebook's first cell: have its kernel note how near each assertion comes to failing."""
    if item.cell_num == 0:
        item.parent.kernel.ask(_MARGINS, "start", timeout=_PATIENCE)


def record(item: IPyNbCell, folder: Path) -> None:
    """Note, as one line of FOLDER/NOTEBOOK.jsonl, the cell's texts, its picture's change and its margins."""
    alive = item.parent.kernel.is_alive()
    told = {
        "cell": item.cell_num,
        "texts": [holder[name] for found in texts(item.test_outputs or []).values() for holder, name in found],
        "picture": _picture(item),
        "margins": item.parent.kernel.ask(_MARGINS, "take", timeout=_PATIENCE) if alive else [],
    }
    with (folder / f"{item.path.stem}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")


def _picture(item: IPyNbCell) -> float:
    try:
        return largest_change(item.cell.outputs, item.test_outputs or [])
    except ValueError:
        return 1.0


def texts(outputs: list[NotebookNode]) -> dict[str, list[tuple[dict, str]]]:
    """Where the texts are, by what they are: `stdout`, `text/plain`, `text/html` …, each as (mapping, key)."""
    found = defaultdict(list)
    for output in outputs:
        if output.output_type == "stream":
            found[output.name].append((output, "text"))
        for kind, value in output.get("data", {}).items():
            if kind.startswith("text/") and isinstance(value, str):
                found[kind].append((output["data"], kind))
    return found
