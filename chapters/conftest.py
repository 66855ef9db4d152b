"""What nbval does not do by itself: the kernels' environment, and a look at the pictures."""

from collections.abc import Iterator

import pytest
from nbval.plugin import IPyNbCell

from tools.notebooks.environment import set_kernel_environment
from tools.notebooks.validation import compare_pictures

set_kernel_environment()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """After a cell's text has been compared, compare what it drew."""
    yield
    compared = isinstance(item, IPyNbCell) and item.options["check"] and item.cell.execution_count is not None
    if compared:
        difference = compare_pictures(item.cell.outputs, item.test_outputs)
        if difference:
            item.raise_cell_error("Cell pictures differ", difference)
