"""How near each `<` of an assertion came to failing: run inside a chapter's kernel, while `robust` looks on.

The text of this file is sent to the kernel (`WatchedKernel.ask`), so it imports nothing of the book.
"""

import ast
import builtins
import operator

from IPython import get_ipython

_ORDERED = {"Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt, "GtE": operator.ge}
_OTHER = {
    "Eq": operator.eq, "NotEq": operator.ne, "Is": operator.is_, "IsNot": operator.is_not,
    "In": lambda left, right: left in right, "NotIn": lambda left, right: left not in right,
}  # fmt: skip
_CANNOT_WAIT = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)  # would mean something else inside a lambda


class _Recorder(ast.NodeTransformer):
    """Rewrites the ordered comparisons within `assert` so that they tell both of their sides."""

    def __init__(self) -> None:
        self.seen: list[dict] = []
        self.within_assert = False

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        self.within_assert = True
        node.test = self.visit(node.test)
        self.within_assert = False
        return ast.fix_missing_locations(node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        text = ast.unparse(node)
        self.generic_visit(node)
        names = [type(op).__name__ for op in node.ops]
        waits = any(isinstance(part, _CANNOT_WAIT) for part in ast.walk(node))
        if not self.within_assert or waits or not _ORDERED.keys() & set(names):
            return node
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        sides = [ast.Lambda(args=nothing, body=side) for side in (node.left, *node.comparators)]
        return ast.Call(
            ast.Name("__compared__", ast.Load()), [ast.Constant(text), ast.Constant(tuple(names)), *sides], []
        )

    def compared(self, text: str, names: tuple[str, ...], *sides) -> object:
        """What the comparison is, sides evaluated in Python's order and no further than Python does."""
        left, result = sides[0](), True
        for name, side in zip(names, sides[1:], strict=True):
            right = side()
            result = (_ORDERED | _OTHER)[name](left, right)
            if name in _ORDERED:
                self._remember(text, name, left, right, result)
            if len(names) > 1 and not result:
                break
            left = right
        return result

    def _remember(self, text: str, name: str, left: object, right: object, result: object) -> None:
        larger, smaller = (right, left) if name in ("Lt", "LtE") else (left, right)
        try:
            gap = larger - smaller
            # With a graph PyTorch warns of the number taken from it, and the cell would have written on stderr.
            gap = gap.detach() if hasattr(gap, "detach") else gap
            if hasattr(gap, "min"):  # a tensor or an array: the element that came nearest
                gap, result = gap.min(), result.all()
            if bool(result):
                self.seen.append({"text": text, "margin": float(gap)})
        except (TypeError, ValueError, RuntimeError):  # words, sets: there is no distance
            pass


def start() -> None:
    """Rewrite the assertions of all cells from here on."""
    recorder = _Recorder()
    get_ipython().ast_transformers.append(recorder)
    builtins.__compared__ = recorder.compared


def take() -> list[dict]:
    """The comparisons that held since the last call, each with its text and its margin."""
    recorder = builtins.__compared__.__self__
    seen, recorder.seen = recorder.seen, []
    return seen
