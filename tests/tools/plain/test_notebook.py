"""Every chapter comes back from JupyterLab as it was stored; and what leaves the house stands alone."""

import ast
import re
import sys
import tomllib
from importlib import metadata

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.requirements import Requirement

from tools.chapter.markup import directives
from tools.notebooks import chapter_paths, read
from tools.notebooks.files import ROOT
from tools.plain import Labels, command_to_install, first_cell, for_anywhere, for_jupyterlab, from_jupyterlab
from tools.plain.text import _ROLE, _outside_code

LABELS = Labels(ROOT)
HERE = "chapters/formulas/gradient_attribution"
FIRST = f"{LABELS.numbers[HERE]}.1"  # of this chapter, wherever it stands in the book
ROLES = re.compile(r"\{(cite(:\w)?|term|eq|numref|func|class|mod|doc)\}`")


def in_repository(name):
    return (ROOT / name).is_file()


def docname(path):
    return path.relative_to(ROOT).with_suffix("").as_posix()


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def small():
    figure = {"mystnb": {"figure": {"caption": "By {eq}`eq-saliency`.", "name": "fig-attribution-nudge"}}}
    return new_notebook(
        cells=[
            new_markdown_cell("See {eq}`eq-saliency`, then {term}`logit <logits>`."),
            new_code_cell("draw()", metadata=figure),
            new_markdown_cell("```{solution-start} ex-a\n:class: dropdown\n```"),
            new_code_cell("solve()", metadata={"tags": ["solution"]}),
            new_markdown_cell("Because of {eq}`eq-saliency`."),
            new_markdown_cell("```{solution-end}\n```"),
            new_markdown_cell("Open."),
        ]
    )


@pytest.mark.parametrize("path", chapter_paths(), ids=docname)
def test_a_chapter_comes_back_from_jupyterlab_as_it_was(path):
    stored = read(path)
    shown = for_jupyterlab(stored, docname(path), LABELS, in_repository)
    nbformat.validate(shown)
    assert from_jupyterlab(shown) == stored
    left = []
    for text in prose(shown):
        _outside_code(text, lambda part: left.extend(match[0] for match in _ROLE.finditer(part)) or part)
    assert [role for role in left if ROLES.match(role)] == []


@pytest.mark.parametrize("path", chapter_paths(), ids=docname)
def test_a_chapter_that_leaves_the_house_needs_no_markup_but_markdown(path):
    alone = for_anywhere(read(path), docname(path), LABELS, lambda name: False, "")
    nbformat.validate(alone)
    assert [directive.name for text in prose(alone) for directive in directives(text)] == []
    assert not any(re.search(r"^(\([\w-]+\)=|\$\$ *\()", text, re.MULTILINE) for text in prose(alone))
    links = [target for text in prose(alone) for target in re.findall(r"(?<!!)\[[^\]`$]+\]\(([^)\s]+)\)", text)]
    assert [target for target in links if not target.startswith("https://")] == []


def installed_with(names):
    """These distributions and all that pip brings with them."""
    found, asked = set(), [re.match(r"[\w.-]+", name)[0].lower().replace("_", "-") for name in names]
    while asked:
        if (name := asked.pop()) not in found:
            found.add(name)
            for requirement in map(Requirement, metadata.requires(name) or []):
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    asked.append(requirement.name.lower().replace("_", "-"))
    return found


def test_what_a_chapter_imports_comes_with_the_library_or_is_named_by_its_first_cell():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    there = installed_with([*project["dependencies"], "ipykernel"])
    otherwise = {"sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow"}  # as pip names them
    missing = {}
    for path in chapter_paths():
        notebook = read(path)
        trees = [ast.parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        first = first_cell(notebook, "%pip install lib")
        lacks = {
            name
            for name in {name.split(".")[0] for name in imported} - sys.stdlib_module_names - {"lib"}
            if otherwise.get(name, name) not in there and f'"{name}>=' not in first
        }
        if lacks:
            missing[docname(path)] = lacks
    assert missing == {}


def test_the_first_cell_brings_peers_and_stores_that_the_chapter_uses():
    code = "import captum.attr\n\ntable = checkpoint('hours', train)"
    cell = first_cell(new_notebook(cells=[new_code_cell(code)]), "%pip install lib", "https://example.org/stores")
    assert '    %pip install lib\n    %pip install --quiet "captum>=' in cell
    assert "shap" not in cell
    assert "for name in ['hours']:" in cell
    assert '"https://example.org/stores/" + stored.name' in cell


def test_a_store_that_is_missing_is_fetched_and_one_that_is_there_stays(tmp_path, monkeypatch):
    for folder in ("public", "book/checkpoints", "book/code"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "public" / f"{name}.pt").write_text("public")
    (tmp_path / "book/checkpoints/b.pt").write_text("own")
    monkeypatch.chdir(tmp_path / "book/code")
    cells = [new_code_cell("checkpoint('a', f)\ncheckpoint('b', f)")]
    exec(first_cell(new_notebook(cells=cells), "pass", (tmp_path / "public").as_uri()), {})
    stores = {path.name: path.read_text() for path in (tmp_path / "book/checkpoints").iterdir()}
    assert stores == {"a.pt": "public", "b.pt": "own"}


def test_jupyterlab_shows_captions_and_folds_solutions():
    shown = for_jupyterlab(small(), HERE, LABELS, in_repository)
    assert prose(shown) == [
        f"See ({FIRST}), then logit.",
        f"**Fig. {FIRST}** By ({FIRST}).",
        "```{solution-start} ex-a\n:class: dropdown\n```",
        f"```{{dropdown}} Solution: the explanation\nBecause of ({FIRST}).\n```",
        "```{solution-end}\n```",
        "Open.",
    ]


def test_an_edited_cell_keeps_its_roles():
    shown = for_jupyterlab(small(), HERE, LABELS, in_repository)
    shown.cells[0].source = f"Look at ({FIRST}) now, then at the logit. New."
    shown.cells[5].source = shown.cells[5].source.replace("Because", "Only because")
    shown.cells.append(new_markdown_cell("A cell of the reader's own."))
    back = from_jupyterlab(shown)
    assert prose(back) == [
        "Look at {eq}`eq-saliency` now, then at the {term}`logit <logits>`. New.",
        "```{solution-start} ex-a\n:class: dropdown\n```",
        "Only because of {eq}`eq-saliency`.",
        "```{solution-end}\n```",
        "Open.",
        "A cell of the reader's own.",
    ]


def test_alone_a_solution_is_folded_and_the_library_installed_first():
    source = "inside-large-models @ git+https://example.org/book"
    alone = for_anywhere(
        small(), HERE, LABELS, lambda name: False, first_cell(small(), command_to_install(source, ROOT))
    )
    assert f'%pip install --quiet "{source}"' in alone.cells[0].source
    files = (ROOT / "requirements-no-deps.txt").read_text()
    pins = " ".join(line for line in files.splitlines() if line and not line.startswith("#"))
    assert f"%pip install --quiet --no-deps {pins}" in alone.cells[0].source
    assert f"<details><summary>Solution</summary>\n\nBecause of ({FIRST}).\n\n</details>" in prose(alone)
    assert all("solution-" not in text for text in prose(alone))


def test_without_an_address_the_first_cell_says_what_to_do(monkeypatch):
    alone = for_anywhere(small(), HERE, LABELS, lambda name: False, first_cell(small(), ""))
    exec(alone.cells[0].source, {})  # lib is here: nothing happens
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="make lab"):
        exec(alone.cells[0].source, {})
