"""The notebook that is downloaded stands alone; the stored one stays as it is."""

import nbformat
import pytest
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
