"""The notebook that is downloaded stands alone; the stored one stays as it is."""

from types import SimpleNamespace

import nbformat
import pytest
from notebooks_to_go import replace_copies
from tiny_book import notebook

URL = "https://github.com/example/inside-large-models"


@pytest.mark.parametrize("url", ["", URL])
def test_the_copy_beside_the_page_stands_alone(book, url):
    made = book("notebooks_to_go", html_theme="sphinx_book_theme", html_theme_options={"repository_url": url})
    text = notebook("# X", "```{margin}\nSmall.\n```")
    stored = made.write("chapters/code/x.ipynb", text)
    made.write("_toc.yml", "parts: []\n")
    made.write("requirements-no-deps.txt", "# only files\nwords==1.0\n")
    built = made.build()
    assert built.warnings == ""
    given = nbformat.read(built.folder / "_sources/chapters/code/x.ipynb", as_version=4)
    install, title, note = (cell.source for cell in given.cells)
    assert (title, note) == ("# X", "> Small.")
    assert (f"git+{URL}" in install) == bool(url)
    assert ("--no-deps words==1.0" in install) == bool(url)
    assert stored.read_text() == text


def test_only_a_copy_that_has_just_been_made_is_replaced(tmp_path):
    """Sphinx copies the source of each page that it writes; what it left alone stands alone already."""
    source, copy = tmp_path / "chapters/code/x.ipynb", tmp_path / "_out/_sources/chapters/code/x.ipynb"
    for path in (source, copy):
        path.parent.mkdir(parents=True)
        path.write_text(notebook("# X"))
    (tmp_path / "_toc.yml").write_text("parts: []\n")
    pages = SimpleNamespace(found_docs={"chapters/code/x"}, doc2path=lambda name: tmp_path / f"{name}.ipynb")
    config, builder = SimpleNamespace(html_theme_options={}), SimpleNamespace(format="html")
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "_out", env=pages, config=config, builder=builder)
    replace_copies(app, None)
    assert nbformat.read(copy, as_version=4).cells[0].id == "install"
    copy.write_text("from an earlier build")
    replace_copies(app, None)
    assert copy.read_text() == "from an earlier build"
