"""git knows a notebook when it sees one, and leaves binary files alone. Read without git, so that a ZIP can be tested too."""

from fnmatch import fnmatch

import pytest

from tools.notebooks.files import ROOT

MEANING = {"binary": {"text": "unset", "diff": "unset", "merge": "unset"}}  # git's only built-in macro


def attributes(path):
    """What `git check-attr` tells of a path: later lines win."""
    told = {}
    for line in (ROOT / ".gitattributes").read_text().splitlines():
        pattern, *given = line.split()
        if fnmatch(path.rpartition("/")[2], pattern):
            for attribute in given:
                name, _, value = attribute.partition("=")
                told |= MEANING.get(name, {name: value or "set"})
    return told


@pytest.mark.parametrize(
    ("path", "attribute", "value"),
    [
        ("chapters/code/train_a_cnn.ipynb", "diff", "jupyternotebook"),
        ("chapters/code/train_a_cnn.ipynb", "merge", "jupyternotebook"),
        ("chapters/code/train_a_cnn.ipynb", "eol", "lf"),  # canonical form is bytes: no carriage return on Windows
        ("_static/logo.png", "text", "unset"),
        ("_static/font.woff2", "text", "unset"),
    ],
)
def test_attributes(path, attribute, value):
    assert attributes(path)[attribute] == value
