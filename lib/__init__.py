"""The library behind *Inside Large Models*: every formula of the book as tested code."""

__version__ = "0.1.0"
__all__ = ["__version__"]
