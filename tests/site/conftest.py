"""One server, one browser and one tab for all site checks."""

import pytest
from site_browser import DESK, ROOT, chromium, page_names, site_folder, visitor

from tools.local_server import served


def pytest_generate_tests(metafunc):
    """A test that takes ``page_name`` runs once for each rendered page, with ``chapter_name`` once for each rendered chapter."""
    wanted = {"page_name", "chapter_name"} & set(metafunc.fixturenames)
    if wanted:
        names = page_names(site_folder()) if site_folder().is_dir() else []
        if "chapter_name" in wanted:
            names = [name for name in names if (ROOT / name).with_suffix(".ipynb").is_file()]
        if not names:
            raise pytest.UsageError(f"no rendered book in {site_folder()}: run `make book` first")
        metafunc.parametrize(wanted.pop(), names)


@pytest.fixture(scope="session")
def site():
    """The folder of the rendered book."""
    if not (site_folder() / "index.html").is_file():
        pytest.fail(f"no rendered book in {site_folder()}: run `make book` first", pytrace=False)
    return site_folder()


@pytest.fixture(scope="session")
def browser():
    """One Chromium for the whole run."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def address(site):
    """Where the book is served."""
    with served(site) as url:
        yield url


@pytest.fixture(scope="session")
def tab(browser, address):
    """One tab, reused from page to page and from view to view."""
    return visitor(browser, address, DESK)


@pytest.fixture
def desk(tab):
    """The tab of a reader at a desk, in light mode."""
    return tab.show(DESK)
