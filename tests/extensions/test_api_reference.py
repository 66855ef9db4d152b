"""Every public name of the library has its place in the reference, with a signature that can be read."""

import ast
import re

import pytest
from bs4 import BeautifulSoup
from tiny_book import REPOSITORY, Book

PACKAGES = sorted(path.name for path in (REPOSITORY / "lib").iterdir() if (path / "__init__.py").is_file())


def public(path) -> list[str]:
    """The ``__all__`` of a file."""
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return ast.literal_eval(statement.value)
    return []


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The reference alone, built once, with the real library beside it."""

    made = Book(tmp_path_factory.mktemp("reference"), ("api_reference",))
    for page in sorted((REPOSITORY / "reference" / "api").glob("*.md")):
        made.write(f"reference/api/{page.name}", page.read_text())
    (made.root / "lib").symlink_to(REPOSITORY / "lib")
    return made.build(exclude_patterns=["_out", "_trees", "lib"])


def test_nothing_in_the_reference_is_unresolved(reference):
    # Equations stand in the chapters, which are not built here.
    faults = [line for line in reference.warnings.splitlines() if line.strip() and "equation not found" not in line]
    assert faults == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented(reference, package):
    page = BeautifulSoup(reference.html(f"reference/api/{package}"), "html.parser")
    documented = {target["id"] for target in page.select("dt.sig[id]")}
    folder = REPOSITORY / "lib" / package
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
    page = BeautifulSoup(reference.html("reference/api/core"), "html.parser")
    signature = re.sub(r"\s+", " ", page.find(id="lib.core.training.train").get_text())
    assert "inputs: Shaped[Tensor, 'examples ...'] | Batches" in signature
    assert "epochs: PositiveInt" in signature
    assert "progress: bool = True" in signature
    assert "History" in signature


def test_each_function_leads_to_its_source_and_back(reference):
    page = BeautifulSoup(reference.html("reference/api/core"), "html.parser")
    link = page.find(id="lib.core.training.train").find("a", class_="reference", string="[source]")
    assert link["href"] == "../../_modules/lib/core/training.html#train"
    source = BeautifulSoup(reference.html("_modules/lib/core/training"), "html.parser")
    assert "def train(" in source.find(id="train").get_text()
    assert source.find(id="train").find("a", string="[docs]")["href"].endswith("#lib.core.training.train")


LIBRARY = '''"""A module."""
from torch import Tensor, nn

__all__ = ["Layer", "f"]


def f(x: Tensor, *, k: int = 3) -> Tensor:
    """Do it.

    Equation: eq-f
    More words on :class:`{named}`.

    Raises:
        ValueError: never.
    """
    return x


class Layer(nn.Module):
    """A layer that takes no parameters."""
'''


@pytest.fixture
def tiny(book, monkeypatch):
    """A reference to a library of one module, under the package name given."""

    def build(package: str, named: str):
        made = book("api_reference", exclude_patterns=["_out", "_trees", package])
        made.write(f"{package}/__init__.py", '"""A package."""\n')
        made.write(f"{package}/mod.py", LIBRARY.replace("{named}", named))
        made.write("api.md", f"# API\n\n$$\ny\n$$ (eq-f)\n\n```{{api-package}} {package}\n```\n")
        monkeypatch.syspath_prepend(str(made.root))
        return made.build()

    return build


def test_equations_are_links_and_foreign_names_are_text(tiny):
    built = tiny("tinyone", "torch.nn.Conv2d")
    assert built.warnings == ""
    page = BeautifulSoup(built.html("api"), "html.parser")
    function = page.find(id="tinyone.mod.f").parent
    link = function.find("a", string="(1)")
    assert link["href"].endswith("#equation-eq-f")
    assert link.find_parent("p").get_text() == "Equation: (1)"
    assert "(x: Tensor, *, k: int = 3) → Tensor" in function.dt.get_text()
    assert "ValueError" in function.dd.get_text()
    assert "Layer" in page.find(id="tinyone.mod.Layer").get_text()
    assert "args" not in page.find(id="tinyone.mod.Layer").get_text()


def test_a_name_that_nothing_defines_is_a_warning(tiny):
    assert "py:class reference target not found: Convv2d" in tiny("tinytwo", "Convv2d").warnings
