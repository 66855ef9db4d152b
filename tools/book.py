"""python -m tools.book: render the book into _build/html, warnings as errors, and only what has changed.

Sphinx knows which pages changed, and `_ext/fresh_pages.py` which others show something of them. Where the machinery itself
changed (settings, table of contents, templates, styles, extensions), or the last build did not come to its end, all is made anew.
"""

import gc
import hashlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
STAMP = BUILD / "html" / ".machinery"
MACHINERY = (
    "_config.yml",
    "_toc.yml",
    "pyproject.toml",
    "requirements.txt",
    "requirements-no-deps.txt",
    "_ext",
    "_templates",
    "_static",
    "_extra",
    "tools/chapter",
    "tools/plain",
)
# What the build would import and never use, with the names that are asked of it: the list of kernels, which brings a network
# of messages, three ways to run notebooks, which bring a database, and cards for social media, which bring Matplotlib. More
# than half of the time until the first page is looked at.
NEVER_USED = {
    "jupyter_client": {},
    "jupyter_client.kernelspec": {"find_kernel_specs": dict},
    "myst_nb.core.execute.cache": {"NotebookClientCache": None},
    "myst_nb.core.execute.direct": {"NotebookClientDirect": None},
    "myst_nb.core.execute.inline": {"NotebookClientInline": None},
    "sphinxext.opengraph._social_cards": {"DEFAULT_SOCIAL_CONFIG": {}, "create_social_card": None},
}


def machinery() -> str:
    """A digest of all files that have a say in every page."""
    digest = hashlib.sha256(sys.version.encode())
    for name in MACHINERY:
        place = ROOT / name
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Build, and remember that it came to its end."""
    now = machinery()
    fresh = not STAMP.is_file() or STAMP.read_text() != now
    STAMP.unlink(missing_ok=True)
    if fresh:
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
    sys.modules["rfc3987_syntax"] = (
        None  # jsonschema would compile forty grammars for addresses that nobody checks: 3 s
    )
    for name, offered in NEVER_USED.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(offered)
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where there is one in C, eight times as fast
    gc.disable()  # half of the time of reading stored pages goes into looking for garbage that is not there
    from jupyter_book.cli.main import main as jupyter_book

    options = ["-W", "-n", "--keep-going", "--quiet", *(["--all"] if fresh else [])]
    jupyter_book(["build", str(ROOT), *options], standalone_mode=False)
    STAMP.write_text(now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
