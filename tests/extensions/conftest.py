"""Tiny books for every test of the extensions."""

import pytest
from tiny_book import Book


@pytest.fixture
def book(tmp_path):
    """A maker of tiny books: ``book("quiz")`` loads the extension of that name."""
    return lambda *extensions, **config: Book(tmp_path, extensions, config)
