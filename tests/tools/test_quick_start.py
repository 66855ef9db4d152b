"""A process that reads notebooks starts without what no notebook needs."""

import subprocess
import sys

import pytest

from tools.notebooks.files import ROOT


@pytest.mark.parametrize(
    ("line", "needed", "needless"),
    [
        ("from tools.notebooks import execute", "nbclient", "rfc3987_syntax. jupyter_server matplotlib torch"),
        ("import tools.notebooks.tolerance", "tools.notebooks", "nbclient jupyter_client"),
    ],
    ids=["who runs notebooks, no server, no plots, no grammar of addresses", "who renders a page, no kernels"],
)
def test_nothing_is_loaded_that_is_not_needed(line, needed, needless):
    told = f"import sys; {line}; print({needed!r} in sys.modules, "
    told += f"[m for m in sys.modules if m.startswith({tuple(needless.split())})])"
    run = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "True []\n"


def test_nor_by_a_run_of_the_tests():
    assert "nbval.plugin" in sys.modules
    assert "rfc3987_syntax.syntax_helpers" not in sys.modules
