"""A package's reference is made from its modules: signatures as written, equations as links, unknown names as warnings."""

import pytest
from bs4 import BeautifulSoup

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
