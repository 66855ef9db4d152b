"""python -m tools.plain FOLDER: write every chapter as a notebook for any program, as the Colab button opens them."""

import argparse
import sys
from pathlib import Path

import yaml

from tools.notebooks import chapter_paths, read
from tools.notebooks.canonical import serialise
from tools.notebooks.files import ROOT
from tools.plain.first_cell import command_to_install, first_cell
from tools.plain.labels import Labels
from tools.plain.notebook import for_anywhere


def write_all(
    folder: Path, paths: list[Path], url: str, root: Path = ROOT, *, together: bool, branch: str = "main"
) -> None:
    """Write the chapters below `folder`; `together` says whether a link from one to another leads anywhere there.

    `url` and `branch` are the book's public repository; while it has none, `url` is empty.
    """
    labels = Labels(root)
    names = {path.relative_to(root).as_posix() for path in paths}
    install = command_to_install(f"inside-large-models @ git+{url}", root) if url else ""
    stores = f"{url}/raw/{branch}/chapters/checkpoints" if url else ""
    for path in paths:
        name = path.relative_to(root).as_posix()
        notebook = read(path)
        first = first_cell(notebook, install, stores)
        made = for_anywhere(
            notebook, name.removesuffix(".ipynb"), labels, lambda other: together and other in names, first
        )
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(serialise(made), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write them, and say where."""
    parser = argparse.ArgumentParser(prog="python -m tools.plain", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    write_all(folder, chapter_paths(), repository["url"] or "", together=True, branch=repository["branch"])
    print(f"{len(chapter_paths())} notebooks in {folder / 'chapters'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
