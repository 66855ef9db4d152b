"""A process that reads notebooks starts without what no notebook needs."""

import subprocess
import sys

from tools.notebooks.files import ROOT


def test_no_grammar_of_international_addresses_no_server_and_no_plots_are_loaded():
    told = (
        "import tools.notebooks, sys; print('nbformat' in sys.modules, "
        "[m for m in sys.modules if m.startswith(('rfc3987_syntax.', 'jupyter_server', 'matplotlib', 'torch'))])"
    )
    run = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "True []\n"


def test_nor_by_a_run_of_the_tests():
    assert "nbval.plugin" in sys.modules
    assert "rfc3987_syntax.syntax_helpers" not in sys.modules
