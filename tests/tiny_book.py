"""Tiny books, built in memory's worth of seconds, to try one extension at a time."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

REPOSITORY = Path(__file__).resolve().parents[1]
# What a chapter's metadata holds when nothing is wrong with it.
COMPLETE = {
    "track": "convolution",
    "prerequisites": [],
    "reading_minutes": 35,
    "source_sections": [],
    "running_seconds": 12.4,
}
# A sound question of a quiz.
QUESTION = """`````{admonition} Question 1
:class: quiz

*Objective 2.* How many?

````{dropdown} A. $26 \\times 26$
**Right.** The window starts at 26 places.
````
````{dropdown} B. 28 × 28
**No.** That takes padding of one.
````
`````
"""


def markdown(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str, *, tags: tuple[str, ...] = (), outputs: tuple[dict, ...] = (), **metadata) -> dict:
    return {
        "cell_type": "code",
        "metadata": {"tags": list(tags), **metadata},
        "source": source,
        "execution_count": 1,
        "outputs": list(outputs),
    }


def notebook(*cells: dict | str, book: dict | None = COMPLETE) -> str:
    """A notebook's text; a bare string is a Markdown cell."""
    written = [markdown(cell) if isinstance(cell, str) else cell for cell in cells]
    for number, cell in enumerate(written):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel} | ({} if book is None else {"book": book})
    return json.dumps({"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@dataclass
class Built:
    """What a build left: its warnings, and its pages."""

    folder: Path
    warnings: str

    def html(self, docname: str) -> str:
        return (self.folder / f"{docname}.html").read_text(encoding="utf-8")


@dataclass
class Book:
    """A book in a temporary folder: write files, then build."""

    root: Path
    extensions: tuple[str, ...] = ()
    config: dict = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def build(self, **config) -> Built:
        if not (self.root / "index.md").is_file():
            pages = sorted(
                p.relative_to(self.root).with_suffix("").as_posix()
                for p in self.root.rglob("*.*")
                if p.suffix in (".md", ".ipynb")
            )
            self.write("index.md", "# Book\n\n```{toctree}\n" + "\n".join(pages) + "\n```\n")
        settings = {
            "extensions": ["myst_nb", "sphinx_design", *self.extensions],
            "html_theme": "basic",
            "nb_execution_mode": "off",
            "myst_enable_extensions": ["dollarmath", "colon_fence"],
            "nitpicky": True,
            "exclude_patterns": ["_out", "_trees", "jupyter_execute"],
        }
        warnings, out = io.StringIO(), self.root / "_out"
        with docutils_namespace():
            app = Sphinx(
                self.root,
                None,
                out,
                self.root / "_trees",
                "html",
                confoverrides=settings | self.config | config,
                status=None,
                warning=warnings,
            )
            app.build()
        return Built(out, warnings.getvalue())
