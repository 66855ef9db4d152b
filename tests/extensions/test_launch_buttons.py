"""One setting shows the buttons; without it no dead one stands on a page."""

import pytest
import yaml
from bs4 import BeautifulSoup
from jupyter_book.config import get_final_config
from tiny_book import REPOSITORY, notebook

URL = "https://github.com/example/inside-large-models"


def links(book, url: str) -> dict[str, str]:
    """Text or tooltip → address of the buttons in the header of a chapter."""
    options = {
        "repository_url": url,
        "repository_branch": "main",
        "launch_buttons": {"binderhub_url": "https://mybinder.org"},
    }
    made = book("launch_buttons", html_theme="sphinx_book_theme", html_theme_options=options)
    made.write("chapters/code/x.ipynb", notebook("# X"))
    built = made.build()
    assert built.warnings == ""
    page = BeautifulSoup(built.html("chapters/code/x"), "html.parser")
    header = page.select_one(".header-article__inner")
    return {(link.get_text().strip() or link["title"]): link["href"] for link in header.find_all("a")}


def test_a_published_book_launches_from_its_repository(book):
    found = links(book, URL)
    assert found["JupyterLab on Binder"] == (
        "https://mybinder.org/v2/gh/example/inside-large-models/main?urlpath=lab/tree/chapters/code/x.ipynb"
    )
    assert found["Colab"] == (
        "https://colab.research.google.com/github/example/inside-large-models/blob/notebooks/chapters/code/x.ipynb"
    )
    assert found["Repository"] == URL
    assert ".ipynb" in found


def test_an_unpublished_book_has_only_its_download(book):
    found = links(book, "")
    assert found == {".ipynb": "../../_sources/chapters/code/x.ipynb"}


@pytest.mark.parametrize("url", ["", URL])
def test_the_books_own_configuration_hands_the_setting_on(url):
    settings = yaml.safe_load((REPOSITORY / "_config.yml").read_text())
    assert settings["repository"]["url"] == ""  # the publisher's to fill in
    settings["repository"]["url"] = url
    config, _ = get_final_config(user_yaml=settings, cli_config={"latex_individualpages": False})
    assert config["html_theme_options"]["repository_url"] == url
    assert "launch_buttons" in config["extensions"]
