"""The book as one PDF: the rendered pages, one after another, printed by Chromium."""
