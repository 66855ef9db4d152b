"""The first cell of a chapter that leaves the house: it brings what the machine lacks, and elsewhere does nothing."""

import re
import tomllib
from pathlib import Path

import nbformat

from tools.notebooks.files import ROOT
from tools.notebooks.stores import names_read

_IMPORTED = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
_INSTALL = """# On a machine without the book's library, this installs it. Elsewhere it does nothing.
import importlib.util

if not all(map(importlib.util.find_spec, {needed})):
    {command}"""
_NO_ADDRESS = (
    "raise SystemExit(\"This notebook needs the book's library: open it in the book's folder with `make lab`, "
    'or in the course.")'
)
_FETCH = """

# The networks and tables that took hours, as the book stores them.
from pathlib import Path
from urllib.request import urlretrieve

for name in {names}:
    stored = Path("..", "checkpoints", name + ".pt")
    if not stored.exists():
        stored.parent.mkdir(exist_ok=True)
        part, _ = urlretrieve("{address}/" + stored.name, stored.with_suffix(".part"))
        Path(part).replace(stored)"""


def first_cell(notebook: nbformat.NotebookNode, install: str, stores: str = "") -> str:
    """Its source. `install` are the commands for `lib`, empty while the book has no public address, `stores` where the stores lie."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    imported = {name for source in code for name in _IMPORTED.findall(source)}
    beside = {name: line for name, line in peers().items() if name in imported}
    commands = [install] + ["%pip install --quiet " + " ".join(f'"{line}"' for line in beside.values())] * bool(beside)
    command = "\n    ".join(commands) if install else _NO_ADDRESS
    text = _INSTALL.format(needed=["lib", *beside], command=command)
    names = sorted({name for source in code if "checkpoint" in source for name in names_read(source)})
    return text + (_FETCH.format(names=names, address=stores) if stores and names else "")


def peers() -> dict[str, str]:
    """The packages that the library is measured against, each with its floor: a chapter may import them, `lib` does not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.match(r"[\w.-]+", line)[0]: line for line in project["optional-dependencies"]["bench"]}


def command_to_install(source: str, root: Path) -> str:
    """Two lines for a cell: the library from `source`, as pip takes it, and the packages that only carry data."""
    pins = (root / "requirements-no-deps.txt").read_text(encoding="utf-8").splitlines()
    alone = " ".join(line for line in pins if line and not line.startswith("#"))
    return f'%pip install --quiet "{source}"\n    %pip install --quiet --no-deps {alone}'
