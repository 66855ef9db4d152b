"""Every public name of the library has its place in the rendered reference, with a signature that can be read.

What is unresolved there, the book's own build refuses: it knows every name, and each warning is an error.
"""

import ast
import re

import pytest
from bs4 import BeautifulSoup
from site_browser import ROOT

pytestmark = pytest.mark.site

PACKAGES = sorted(path.name for path in (ROOT / "lib").iterdir() if (path / "__init__.py").is_file())


def public(path) -> list[str]:
    """The ``__all__`` of a file."""
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return ast.literal_eval(statement.value)
    return []


@pytest.fixture(scope="module")
def reference(site):
    """A page of the rendered book, read."""
    return lambda name: BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented(reference, package):
    page = reference(f"reference/api/{package}")
    documented = {target["id"] for target in page.select("dt.sig[id]")}
    folder = ROOT / "lib" / package
    expected = {
        f"lib.{package}.{path.stem}.{name}"
        for path in folder.glob("*.py")
        if path.stem != "__init__"
        for name in public(path)
    }
    assert expected - documented == set()
    # What the package offers, it takes from modules that are documented.
    assert set(public(folder / "__init__.py")) <= {name.rpartition(".")[2] for name in documented}


def test_shapes_are_shown_as_they_were_written(reference):
    page = reference("reference/api/core")
    signature = re.sub(r"\s+", " ", page.find(id="lib.core.training.train").get_text())
    assert "inputs: Shaped[Tensor, 'examples ...'] | Batches" in signature
    assert "epochs: PositiveInt" in signature
    assert "progress: bool = True" in signature
    assert "History" in signature


@pytest.mark.parametrize("package", PACKAGES)
def test_no_page_shows_where_an_object_lay_in_memory(reference, package):
    """It says nothing to a reader, and makes a page another one in every build."""
    assert re.findall(r"\S+ at 0x[0-9a-f]+", reference(f"reference/api/{package}").get_text()) == []


def test_each_function_leads_to_its_source_and_back(reference):
    page = reference("reference/api/core")
    link = page.find(id="lib.core.training.train").find("a", class_="reference", string="[source]")
    assert link["href"] == "../../_modules/lib/core/training.html#train"
    source = reference("_modules/lib/core/training")
    assert "def train(" in source.find(id="train").get_text()
    assert source.find(id="train").find("a", string="[docs]")["href"].endswith("#lib.core.training.train")
