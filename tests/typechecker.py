"""The checker behind the annotations in the tests: beartype, with an int allowed where a float is asked for."""

import ast

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook

__all__ = ["enforce", "enforce_annotations"]

enforce = beartype(conf=BeartypeConf(is_pep484_tower=True))


def enforce_annotations(package: str) -> None:
    """Hold every function of a package that is not yet imported to its annotations, at each call."""
    _import_hook.JaxtypingTransformer = _OutermostFunctions
    jaxtyping.install_import_hook(package, f"{__name__}.enforce")


class _OutermostFunctions(_import_hook.JaxtypingTransformer):
    """Leaves functions within functions alone.

    Each call of the outer one makes them anew, and a checker with them, which has to be compiled: a loop whose steps set a
    hook took twelve times as long.
    """

    def generic_visit(self, node: ast.AST) -> None:
        if not isinstance(node, ast.FunctionDef):
            super().generic_visit(node)
