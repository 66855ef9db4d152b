"""One server, one browser and four tabs (two widths, two modes) for all site checks."""

import pytest
from site_browser import VIEWS, chromium, page_names, served, site_folder, visitor


def pytest_generate_tests(metafunc):
    """A test that takes ``page_name`` runs once for each rendered page."""
    if "page_name" in metafunc.fixturenames:
        names = page_names(site_folder()) if site_folder().is_dir() else []
        if not names:
            raise pytest.UsageError(f"no rendered book in {site_folder()}: run `make book` first")
        metafunc.parametrize("page_name", names)


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
def visitors(browser, address):
    """A tab for each view, reused from page to page."""
    return {view: visitor(browser, address, view) for view in VIEWS}


@pytest.fixture(params=VIEWS, ids=str)
def visit(request, visitors):
    """A tab, once for each view."""
    return visitors[request.param]


@pytest.fixture
def desk(visitors):
    """The tab of a reader at a desk, in light mode."""
    return visitors[VIEWS[0]]
