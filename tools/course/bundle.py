"""The student edition on disk: a folder that installs and runs by itself, and the same as one zip."""

import re
import shutil
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import yaml
from nbformat import NotebookNode

from tools.course.edition import student_edition
from tools.course.exercises import Exercise, find_exercises
from tools.notebooks import NotebookError, chapter_paths, read, write
from tools.notebooks.files import ROOT
from tools.plain import Labels, command_to_install, first_cell, for_anywhere, peers

FOLDER = ROOT / "_build" / "course"
NAME = "inside-large-models-course"
_README = Path(__file__).with_name("readme.md")
_COPIED = ("pyproject.toml", "LICENSE", "constraints.txt", "requirements-no-deps.txt")
_TO_RUN_NOTEBOOKS = {"ipykernel", "jupyterlab", "jupyterlab-myst", "matplotlib"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name


def build(folder: Path = FOLDER, chapters: list[Path] | None = None) -> Path:
    """Write the student edition of the chapters into a fresh `folder`, and return the zip beside them."""
    paths = in_book_order(chapters if chapters is not None else chapter_paths())
    given = {path.relative_to(ROOT).as_posix() for path in paths if path.is_relative_to(ROOT)}
    labels = Labels(ROOT)

    def has(name: str) -> bool:
        return name in given or (name.startswith("lib/") and (ROOT / name).is_file())

    editions = [_edition(path, labels, has) for path in paths]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for place, edition, _ in editions:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        write(folder / place, edition)
    _copy_library(folder)
    (folder / "requirements.txt").write_text(_requirements(), encoding="utf-8")
    readme = _README.read_text(encoding="utf-8").replace("{contents}", "\n".join(entry for _, _, entry in editions))
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return _zip(folder)


def in_book_order(paths: list[Path]) -> list[Path]:
    """As `_toc.yml` has them; what it does not name comes last."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    order = {name: number for number, name in enumerate(_files(toc))}

    def rank(path: Path) -> tuple[int, str]:
        name = path.with_suffix("").relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.stem
        return order.get(name, len(order)), name

    return sorted(paths, key=rank)


def _files(entry: object) -> list[str]:
    if isinstance(entry, list):
        return [name for part in entry for name in _files(part)]
    if not isinstance(entry, dict):
        return []
    own = [str(entry[key]) for key in ("root", "file") if key in entry]
    return own + [name for value in entry.values() if isinstance(value, list) for name in _files(value)]


def _edition(path: Path, labels: Labels, has: Callable[[str], bool]) -> tuple[Path, NotebookNode, str]:
    """Where the chapter goes, what a student gets of it, and its entry in the list of contents."""
    notebook = read(path)
    place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path("chapters") / path.name
    try:
        edition, entry = student_edition(notebook), _entry(place, notebook, find_exercises(notebook))
    except NotebookError as error:
        raise NotebookError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
    install = command_to_install("/".join([".."] * (len(place.parts) - 1)), ROOT)
    first = first_cell(edition, install)
    return place, for_anywhere(edition, place.with_suffix("").as_posix(), labels, has, first), entry


def _entry(place: Path, notebook: NotebookNode, exercises: list[Exercise]) -> str:
    title = next(
        (match[1] for cell in notebook.cells if (match := re.match(r"# (.+)", cell.source))),
        place.stem.replace("_", " "),
    )
    lines = [f"- [{title}]({place.as_posix()})"]
    lines += [f"  - {exercise.rating} {exercise.title} ({exercise.minutes} min)" for exercise in exercises]
    return "\n".join(lines)


def _copy_library(folder: Path) -> None:
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in _COPIED:
        shutil.copy(ROOT / name, folder / name)
    for file in (ROOT / "chapters" / "checkpoints").glob("*.pt"):
        (folder / "chapters" / "checkpoints").mkdir(exist_ok=True)
        shutil.copy(file, folder / "chapters" / "checkpoints")


def _requirements() -> str:
    """The book's own pins, of what `lib`, the chapters and a notebook server need; the library itself comes last."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {_name(requirement) for requirement in project["dependencies"]} | set(peers()) | _TO_RUN_NOTEBOOKS
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    chosen = [line for line in pins if "==" in line and not line.startswith("#") and _name(line) in wanted]
    return "\n".join(["-c constraints.txt", *chosen, "-e .", ""])


def _name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def _zip(folder: Path) -> Path:
    """The folder as one file, the same bytes whenever it is made from the same tree."""
    target = folder / f"{NAME}.zip"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(folder).as_posix()}", _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on every system
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return target
