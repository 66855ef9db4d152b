"""A chapter as its author wrote it: the one reading of its markup for the book's extensions, the tools and the tests."""
