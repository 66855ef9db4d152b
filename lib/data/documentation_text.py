"""Documentation as text: the docstrings of scikit-image, read from its files and split by topic."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .packaged import packaged_file

__all__ = ["DocumentationText", "load_documentation_text"]

_VALIDATION = ("exposure", "segmentation")
_TEST = ("graph", "restoration")


@dataclass(frozen=True)
class DocumentationText:
    """What scikit-image says of its functions: the text of each topic, a subpackage, under its name.

    A topic is in one of the three parts. Docstrings stand in the order of their files, with two blank lines between
    them. A paragraph that several docstrings share stands once, in training text if it is there at all, so that no
    paragraph of a held-out topic is one of another topic.
    """

    train: dict[str, str]
    validation: dict[str, str]
    test: dict[str, str]
    licence: str = "scikit-image, © 2009-2022 the scikit-image team, BSD-3-Clause; docstrings as shipped in the package"


def load_documentation_text() -> DocumentationText:
    """Return about 895,000 characters of documentation, 82 % of them for training.

    The files are parsed, not imported. They are the same under every version of Python, unlike the documentation in
    its standard library; another release of scikit-image gives a somewhat different text.

    >>> text = load_documentation_text()
    >>> sorted(text.test), "filters" in text.train
    (['graph', 'restoration'], True)

    Raises:
        FileNotFoundError: scikit-image is not installed.
    """
    topics = _topics()
    train = {name: text for name, text in topics.items() if name not in _VALIDATION + _TEST}
    return DocumentationText(train, *({name: topics[name] for name in names} for names in (_VALIDATION, _TEST)))


@cache
def _topics() -> dict[str, str]:
    root = packaged_file("skimage", "__init__.py", distribution="scikit-image").parent
    files: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*.py")):
        folder = file.relative_to(root).parts[0]
        # Left out: the two files of the package itself, its tests, and what it copied from others under their licence.
        if folder not in ("__init__.py", "conftest.py", "_vendored") and "tests" not in file.parts:
            files.setdefault(folder, []).append(file)
    known: set[str] = set()
    held_out = [name for name in _VALIDATION + _TEST if name in files]
    return {name: _text(files[name], known) for name in [*sorted(files.keys() - held_out), *held_out]}


def _text(files: list[Path], known: set[str]) -> str:
    """Join the docstrings of some files, without the paragraphs that are ``known``; these are known from then on."""
    kept = []
    for docstring in (docstring for file in files for docstring in _docstrings(file)):
        paragraphs = [paragraph for paragraph in docstring.split("\n\n") if paragraph.strip() not in known]
        known.update(paragraph.strip() for paragraph in paragraphs)
        kept.append("\n\n".join(paragraphs).strip())
    return "\n\n\n".join(filter(None, kept)) + "\n\n\n"


def _docstrings(file: Path) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return [docstring for node in nodes if (docstring := ast.get_docstring(node))]
