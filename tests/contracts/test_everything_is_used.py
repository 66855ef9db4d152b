"""Nothing stands in `lib` that no chapter uses: what the code of a chapter or of a benchmark loads is used, and what that loads.

This holds for public and private names alike. A docstring, an import, `__all__` and a package that passes a name on use nothing.
"""

import ast
import json
import symtable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Names to which the text of a chapter sends the reader, and no code.
TOLD = {
    "lib.compression.smoothquant.smoothquant",
    "lib.parallelism.deferred.deferred",
    "lib.parallelism.sharded_state.assert_replicas_equal",
}
EXCEPTIONS = dict.fromkeys(TOLD, "told") | {
    "lib.compression.uneven_weights.Float8Layer": "packs the eight-bit floats that a chapter names beside NF4",
    "lib.parallelism.collectives.broadcast": "the fourth collective; where a chapter needs one, torch's will do",
    "lib.parallelism.fork_server.serve": "is called by a program that is written as a string",
    "lib.parallelism.sharded_state.shard_state_dict": "the inverse of gather_state_dict",
}


def loaded(code: str) -> set[str]:
    """The names that code takes from around it, or imports for itself."""
    names, tables = set(), [symtable.symtable(code, "code", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        around = table.get_type() == "module"
        names |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (around or symbol.is_global() or symbol.is_imported())
        }
    return names | read_in_comprehensions(ast.parse(code))


def read_in_comprehensions(tree) -> set[str]:
    """What comprehensions of a module, outside its functions, read: from Python 3.12 on `symtable` misses what the module binds."""
    names, ahead = set(), [tree]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
            parts = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            own = {part.id for part in parts if isinstance(part.ctx, ast.Store)}
            names |= {part.id for part in parts} - own
        elif not isinstance(node, ast.FunctionDef | ast.Lambda):
            ahead += ast.iter_child_nodes(node)
    return names


def quoted(tree) -> set[str]:
    """The words in annotations, which may be names in quotes."""
    annotations = [getattr(part, name, None) for part in ast.walk(tree) for name in ("annotation", "returns")]
    parts = (part for annotation in filter(None, annotations) for part in ast.walk(annotation))
    return {part.value for part in parts if isinstance(part, ast.Constant)}


def imported(tree, package="") -> dict[str, str]:
    """What a name that is imported is called in full."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
    return found


def defined(statement) -> list[str]:
    """The names that a statement of a module gives; one without, such as a call, belongs to whatever the module holds."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return []
    targets = getattr(statement, "targets", [getattr(statement, "target", statement)])
    names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return names if isinstance(statement, ast.Assign | ast.AnnAssign) else [""]


@cache
def library() -> tuple[dict[str, set[str]], dict[str, str]]:
    """What each definition of `lib` loads, by full names; and what a package passes on, by its name there."""
    loads, passed_on = {}, {}
    for path in sorted((ROOT / "lib").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        code = path.read_text(encoding="utf-8")
        tree, lines = ast.parse(code), code.splitlines()
        if parts[-1] == "__init__":
            package = ".".join(parts[:-1])
            passed_on |= {f"{package}.{name}": full for name, full in imported(tree, package).items()}
            continue
        module, around = ".".join(parts), imported(tree, ".".join(parts[:-1]))
        statements = [(name, statement) for statement in tree.body for name in defined(statement)]
        around |= {name: f"{module}.{name}" for name, _ in statements}
        for name, statement in statements:
            first = min(part.lineno for part in [statement, *getattr(statement, "decorator_list", [])])
            own = "\n".join(lines[first - 1 : statement.end_lineno])
            words = (loaded(own) | quoted(statement)) & around.keys()
            loads.setdefault(f"{module}.{name}", {f"{module}."}).update(around[word] for word in words)
    return loads, passed_on


@cache
def beginnings() -> set[str]:
    """The names of `lib` that the code of chapters and benchmarks loads."""
    codes = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    for path in sorted((ROOT / "chapters").rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        codes.append("\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    names = set()
    for code in codes:
        around = imported(ast.parse(code))
        names |= {around[word] for word in loaded(code) & around.keys()}
    return names


def reached(names) -> set[str]:
    """The definitions to which these names lead."""
    loads, passed_on = library()
    found, ahead = set(), list(names)
    while ahead:
        name = ahead.pop()
        while name in passed_on:
            name = passed_on[name]
        if name in loads and name not in found:
            found.add(name)
            ahead += loads[name]
    return found


def test_every_definition_is_used():
    named = {name for name in library()[0] if not name.endswith((".", ".__all__"))}
    unused = sorted(named - reached(beginnings() | EXCEPTIONS.keys()))
    assert not unused, f"no chapter uses {', '.join(unused)}"


@pytest.mark.parametrize("name", sorted(EXCEPTIONS))
def test_an_exception_that_is_used_is_none(name):
    assert name in library()[0]
    assert name not in reached(beginnings() | (EXCEPTIONS.keys() - {name}))


@pytest.mark.parametrize("name", sorted(TOLD))
def test_the_text_of_a_chapter_sends_the_reader_there(name):
    assert any(
        f"{{func}}`~{name}`" in path.read_text(encoding="utf-8") for path in (ROOT / "chapters").rglob("*.ipynb")
    )


def test_what_a_function_binds_itself_and_what_a_docstring_names_is_not_loaded():
    code = '''
@decorator
def f(parameter, default=outside) -> "Quoted":
    """Not documented."""
    from elsewhere import brought, left
    local = parameter + used(brought)
    return [element for element in local]
'''
    assert loaded(code) == {"decorator", "outside", "used", "brought"}
    assert quoted(ast.parse(code)) == {"Quoted"}


def test_what_a_comprehension_of_the_module_reads_is_loaded():
    names = loaded("from elsewhere import f, g, left\nx = [f(i) for i in {g(j) for j in range(3)}]")
    assert {"f", "g"} <= names
    assert "left" not in names
