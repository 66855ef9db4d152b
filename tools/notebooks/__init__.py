"""The notebooks of the book as files: canonical form, execution, editing as text."""

from importlib import import_module

_HOMES = {
    "NotebookError": "canonical",
    "canonicalise": "canonical",
    "chapter_paths": "files",
    "deviations": "review",
    "execute": "execution",
    "export_text": "text",
    "import_text": "text",
    "read": "files",
    "write": "files",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    """What is asked for is imported then: who renders a page needs no kernels, which take half a second."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
