"""What the book's labels stand for: Fig. 3.3.1, equation (3.2.1), Simonyan et al. (2014), and the page that each is on."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import yaml
from pybtex.database import Entry, parse_file

from tools.chapter.model import Chapter, read_book

_EQUATION = re.compile(r"^\$\$ *\(([\w-]+)\)", re.MULTILINE)
_TARGET = re.compile(r"^\(([\w-]+)\)=", re.MULTILINE)


class Labels:
    """The labels of the book that lives in `root`, numbered as the rendered book numbers them; read when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def pages(self) -> dict[str, Chapter]:
        return {page.docname: page for page in read_book(self.root)}

    def title(self, docname: str) -> str:
        """The first heading of a page; its name where there is no such page."""
        return self.pages[docname].title if docname in self.pages else docname.rpartition("/")[2].replace("_", " ")

    @cached_property
    def numbers(self) -> dict[str, str]:
        """Of each numbered page: "3" of a part's index, "3.2" of its second chapter."""
        parts = yaml.safe_load((self.root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
        numbered = [part["chapters"] for part in parts if part.get("numbered")]
        return {
            name: ".".join([str(number), *place])
            for number, chapters in enumerate(numbered, start=1)
            for name, place in _below(chapters[0])
        }

    @cached_property
    def equations(self) -> dict[str, tuple[str, str]]:
        """Label: (page, number), where every labelled equation counts."""
        return self._numbered(
            lambda page: [label for cell in page.markdown for label in _EQUATION.findall(cell.source)]
        )

    @cached_property
    def figures(self) -> dict[str, tuple[str, str]]:
        """Name: (page, number), where every figure with a caption counts."""
        return self._numbered(lambda page: list(self.captions(page.docname)))

    def captions(self, docname: str) -> dict[str, str]:
        """The captions of a chapter's figures in order, by name; one without a name is known by its number."""
        path = self.root / f"{docname}.ipynb"
        if not path.is_file():
            return {}
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        figures = [cell["metadata"].get("mystnb", {}).get("figure", {}) for cell in cells]
        with_caption = [figure for figure in figures if figure.get("caption")]
        return {figure.get("name", str(place)): figure["caption"] for place, figure in enumerate(with_caption)}

    def _numbered(self, labels_of) -> dict[str, tuple[str, str]]:
        return {
            label: (page.docname, f"{self.numbers[page.docname]}.{place}")
            for page in self.pages.values()
            if page.docname in self.numbers
            for place, label in enumerate(labels_of(page), start=1)
        }

    @cached_property
    def places(self) -> dict[str, str]:
        """The page of every named place in Markdown, of every exercise, equation and figure."""
        found = {label: page for label, (page, _) in [*self.equations.items(), *self.figures.items()]}
        for page in self.pages.values():
            found |= dict.fromkeys(
                (name for cell in page.markdown for name in _TARGET.findall(cell.source)), page.docname
            )
            labels = (directive.options.get("label") for _, directive in page.directives())
            found |= dict.fromkeys(filter(None, labels), page.docname)
        return found

    @cached_property
    def works(self) -> dict[str, Entry]:
        return dict(parse_file(str(self.root / "references.bib")).entries)

    def authors_and_year(self, key: str) -> tuple[str, str]:
        """("Simonyan et al.", "2014")"""
        people = [" ".join(person.prelast_names + person.last_names) for person in self.works[key].persons["author"]]
        people = [name.replace("{", "").replace("}", "") for name in people]
        named = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
        return named, self.works[key].fields["year"]

    def address(self, key: str) -> str:
        """Where the work can be read; empty when its entry does not say."""
        fields = self.works[key].fields
        if "doi" in fields:
            return f"https://doi.org/{fields['doi']}"
        return f"https://arxiv.org/abs/{fields['eprint']}" if "eprint" in fields else fields.get("url", "")


def _below(entry: dict) -> Iterator[tuple[str, list[str]]]:
    yield entry["file"], []
    for place, section in enumerate(entry.get("sections", ()), start=1):
        for name, deeper in _below(section):
            yield name, [str(place), *deeper]
