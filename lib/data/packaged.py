"""Find a file that ships inside an installed package, without importing the package."""

from importlib.util import find_spec
from pathlib import Path

__all__ = ["packaged_file"]


def packaged_file(package: str, path: str, *, distribution: str) -> Path:
    """Return the path of ``path`` inside an installed top-level ``package``.

    The package is not imported: those that carry data often import much more than we need.

    Raises:
        FileNotFoundError: the package or the file is missing; the message names the distribution.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"package {package} is not installed; make book installs it, and so does pip install --no-deps {distribution}"
        )
    file = Path(next(iter(spec.submodule_search_locations))) / path
    if not file.is_file():
        raise FileNotFoundError(
            f"{path} is missing from the installed package {package}; reinstall the distribution {distribution}"
        )
    return file
