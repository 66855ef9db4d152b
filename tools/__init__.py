"""Commands of the maintainer: edit, execute and publish the notebooks of the book."""
