"""The rendered book as an EPUB."""
