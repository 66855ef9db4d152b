"""The documentation is that of the pinned release, split by topic, and nothing of it stands on two sides."""

import hashlib
from importlib.metadata import version

import pytest

from lib.data import documentation_text, load_documentation_text
from lib.data.packaged import packaged_file

TEXT = load_documentation_text()
PARTS = {"train": TEXT.train, "validation": TEXT.validation, "test": TEXT.test}


def paragraphs(part):
    return [paragraph.strip() for text in part.values() for paragraph in text.split("\n\n") if paragraph.strip()]


def test_the_text_is_the_pinned_one_letter_by_letter():
    """What chapters store holds for this text, under every version of Python."""
    assert version("scikit-image") == "0.26.0"
    whole = "".join(text for part in PARTS.values() for text in part.values())
    assert hashlib.sha256(whole.encode()).hexdigest().startswith("a1bfcee4e20f3411")
    assert {name: sum(map(len, part.values())) for name, part in PARTS.items()} == {
        "train": 731_521,
        "validation": 75_886,
        "test": 87_412,
    }


def test_a_topic_is_on_one_side_and_so_is_a_paragraph():
    topics = [topic for part in PARTS.values() for topic in part]
    assert len(topics) == len(set(topics)) == 18
    assert not {"__init__.py", "_vendored", "conftest.py"} & set(topics)
    known = [paragraph for part in PARTS.values() for paragraph in paragraphs(part)]
    assert len(known) == len(set(known)) == 4237


def test_a_topic_holds_the_docstrings_of_its_functions_in_their_order():
    import skimage.restoration

    text = TEXT.test["restoration"]
    functions = (
        skimage.restoration.wiener,
        skimage.restoration.richardson_lucy,
        skimage.restoration.calibrate_denoiser,
    )
    starts = [text.index("\n\n\n" + function.__doc__.strip().splitlines()[0]) for function in functions]
    assert starts == sorted(starts)  # two of one file, and one of a later file
    assert "\t" not in text


def test_each_caller_has_the_same_text():
    first = load_documentation_text()
    first.train.clear()
    assert load_documentation_text() == TEXT


def test_a_shared_paragraph_stands_once_and_in_training_text(tmp_path, monkeypatch):
    for topic, body in {
        "filters": '"""Own words.\n\nShared."""',
        "graph": 'def f():\n    """Other words.\n\n    Shared.\n\n    An end."""\n\n\ndef g():\n    """Shared."""',
        "graph/tests": '"""Not this."""',
    }.items():
        (tmp_path / topic).mkdir()
        (tmp_path / topic / "file.py").write_text(body)
    (tmp_path / "__init__.py").write_text('"""Not this either."""')
    monkeypatch.setattr(documentation_text, "packaged_file", lambda *_, **__: tmp_path / "__init__.py")
    assert documentation_text._topics.__wrapped__() == {
        "filters": "Own words.\n\nShared.\n\n\n",
        "graph": "Other words.\n\nAn end.\n\n\n",
    }


def test_the_licence_is_that_of_the_package():
    folder = packaged_file("skimage", "__init__.py", distribution="scikit-image").parent.parent
    (licence,) = folder.glob("scikit_image-*/**/LICENSE.txt")
    assert "Redistribution and use in source and binary forms" in licence.read_text(encoding="utf-8")
    assert "BSD-3-Clause" in TEXT.licence


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(
        documentation_text, "packaged_file", lambda *_, **keywords: packaged_file("no_such", "x", **keywords)
    )
    with pytest.raises(FileNotFoundError, match=r"package no_such is not installed.*scikit-image"):
        documentation_text._topics.__wrapped__()
