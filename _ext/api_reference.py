"""The library's reference pages: one directive a package, signatures as the author wrote them.

``{api-package} lib.core`` documents what each module of the package offers in its ``__all__``, so that a new module
appears by itself. Shapes stay readable (``x: Float[Tensor, "batch channels height width"]``), and an ``Equation:``
line in a docstring links to the chapter.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from formula_corners import LABEL
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext import viewcode
from sphinx.util.docutils import SphinxDirective


def public_names(module: Path) -> list[tuple[str, str]]:
    """Kind and name of what a file offers in its ``__all__``, in the order of the file, without importing it."""
    statements = ast.parse(module.read_text(encoding="utf-8")).body
    defined = [pair for statement in statements for pair in _kind_and_name(statement)]
    offered = next(
        (ast.literal_eval(statement.value) for statement in statements if _assigns(statement, "__all__")), []
    )
    return [(kind, name) for kind, name in defined if name in offered]


def _kind_and_name(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    match statement:
        case ast.FunctionDef(name=name):
            yield "function", name
        case ast.ClassDef(name=name):
            yield "class", name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            yield "data", name


def _assigns(statement: ast.stmt, name: str) -> bool:
    return ("data", name) in _kind_and_name(statement)


class ApiPackage(SphinxDirective):
    """``{api-package} lib.core``: the package's docstring, then a section for each module; a package in it is one more level."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self._package(self.arguments[0])

    def _package(self, package: str) -> list[nodes.Node]:
        folder = Path(self.env.srcdir, *package.split("."))
        # autodoc notes the modules it reads; one that is new is named in the package's __init__.py
        self.env.note_dependency(str(folder / "__init__.py"))
        introduction = self._parsed([f".. automodule:: {package}"])
        modules = [path for path in sorted(folder.glob("[!_]*.py")) if public_names(path)]
        rooms = [path.parent for path in sorted(folder.glob("*/__init__.py"))]
        return [
            *introduction.children,
            *(self._section(f"{package}.{path.stem}", path) for path in modules),
            *(self._room(f"{package}.{room.name}") for room in rooms),
        ]

    def _room(self, package: str) -> nodes.section:
        section = self._titled(package)
        section += self._package(package)
        return section

    def _titled(self, module: str) -> nodes.section:
        label = nodes.make_id(f"api-{module}")
        section = nodes.section("", nodes.title("", module.rpartition(".")[2]), ids=[label], names=[label])
        self.state.document.note_explicit_target(section, section)
        return section

    def _section(self, module: str, path: Path) -> nodes.section:
        section = self._titled(module)
        lines = [f".. automodule:: {module}", ""]
        for kind, name in public_names(path):
            lines += [f".. auto{kind}:: {module}.{name}", *(["   :members:"] if kind == "class" else []), ""]
        section += self._parsed(lines).children
        return section

    def _parsed(self, lines: list[str]) -> nodes.Element:
        """Let autodoc, which speaks reStructuredText, write into this Markdown page."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(["```{eval-rst}", *lines, "```"], self.env.docname), 0, parent)
        return parent


def write_signature(app, what: str, name: str, obj, options, signature: str | None, result: str | None):
    """Show the parameters as they stand in the source, where they have one."""
    if what == "class":
        owner = next(base for base in obj.__mro__ if "__init__" in vars(base))
        if owner.__module__.partition(".")[0] != obj.__module__.partition(".")[0]:
            return "()", None  # what nn.Module takes says nothing of our layer
    definition = _definition(obj.__init__ if what == "class" else obj)
    if signature is None or definition is None:
        return None
    arguments, returns = definition.args, definition.returns
    if what in ("class", "method") and arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args = arguments.args[1:]
    for part in filter(None, (arguments, returns)):
        for node in ast.walk(part):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = node.value.strip()  # the shape " batch" has its space for the linters' sake
    return f"({ast.unparse(arguments)})", ast.unparse(returns) if returns and what != "class" else None


def _definition(function) -> ast.FunctionDef | None:
    """The syntax tree of a function; a dataclass's own ``__init__`` and the like have none."""
    try:
        source = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return None
    definition = ast.parse(textwrap.dedent(source)).body[0]
    return definition if isinstance(definition, ast.FunctionDef) else None


def prepare_docstring(app, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Give the line ``Equation: eq-conv2d`` a paragraph of its own and a link; a constant keeps only its comment."""
    if what == "data" and inspect.getdoc(obj) == inspect.getdoc(type(obj)):
        lines.clear()  # what a dict is, and not what this one is for
    lines[:] = [written for line in lines for written in _linked(line)]


def _linked(line: str) -> Iterator[str]:
    if not re.match(r"\s*Equations?: eq-", line):
        yield line
        return
    yield ""
    yield re.sub(rf"(?<!\S)({LABEL})", r":eq:`\1`", line)
    yield ""


def leave_foreign_names_plain(app, env, node: addnodes.pending_xref, contnode: nodes.Element):
    """Print the names of other libraries as text; in prose, a name that nothing defines stays an error."""
    if node.get("refdomain") != "py":
        return None
    package, _, rest = node["reftarget"].partition(".")
    ancestor = node
    while ancestor is not None and not isinstance(ancestor, addnodes.desc_signature):
        ancestor = ancestor.parent
    in_signature, qualified = ancestor is not None, bool(rest)
    return contnode if package != "lib" and (in_signature or qualified) else None


def file_of(app: Sphinx, module: str) -> str | None:
    """The file of a module, by its name alone: Sphinx would import each one to ask whether its source is newer than its page."""
    place = Path(app.srcdir, *module.split("."))
    return next((str(path) for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.setup_extension("sphinx.ext.viewcode")
    viewcode.get_module_filename = file_of
    app.config.autodoc_inherit_docstrings = False  # nn.Module's words on forward() are not about our layer
    app.config.python_use_unqualified_type_names = True
    app.config.add_module_names = False
    app.add_directive("api-package", ApiPackage)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", prepare_docstring)
    app.connect("missing-reference", leave_foreign_names_plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
