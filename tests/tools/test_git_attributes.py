"""git knows a notebook when it sees one, and leaves binary files alone."""

import shutil
import subprocess

import pytest

from tools.notebooks.files import ROOT


@pytest.mark.parametrize(
    ("path", "attribute", "value"),
    [
        ("chapters/code/train_a_cnn.ipynb", "diff", "jupyternotebook"),
        ("chapters/code/train_a_cnn.ipynb", "merge", "jupyternotebook"),
        ("chapters/code/train_a_cnn.ipynb", "eol", "lf"),  # canonical form is bytes: no \r on Windows
        ("_static/logo.png", "text", "unset"),
        ("_static/font.woff2", "text", "unset"),
    ],
)
def test_attributes(tmp_path, path, attribute, value):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    command = ["git", "check-attr", attribute, "--", path]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == f"{path}: {attribute}: {value}\n"
    assert told.stderr == ""  # a line that git cannot read is only complained of
