"""python -m tools.changed REVISION: the chapters to run for what has changed since that revision, one a line.

A changed chapter has to run. A page of text changes no chapter; anything else, such as `lib`, may change all of them.
"""

import argparse
import subprocess
import sys
from fnmatch import fnmatch

from tools.notebooks import chapter_paths
from tools.notebooks.files import ROOT

TEXT = (
    "*.md",
    "references.bib",
    "_static/*",
    "_templates/*",
    "_extra/*",
    "_ext/*",
    "tests/*",
    ".github/*",
    "CITATION.cff",
    "LICENSE*",
)


def chapters_to_run(changed: list[str], chapters: list[str]) -> list[str]:
    """Of `chapters`, those that a change of these files can change; paths from the root of the repository."""
    others = [name for name in changed if name not in chapters and not any(fnmatch(name, text) for text in TEXT)]
    return chapters if any(not _gone(name) for name in others) else [name for name in chapters if name in changed]


def _gone(name: str) -> bool:
    return name.startswith("chapters/") and name.endswith(".ipynb")  # a chapter that was removed or renamed


def changed_since(revision: str) -> list[str]:
    """Every file that differs from where this branch left `revision`, committed or not."""
    git = ["git", "-C", str(ROOT)]
    base = subprocess.run(
        [*git, "merge-base", revision, "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    listing = subprocess.run(
        [*git, "diff", "--name-only", "-z", base], capture_output=True, text=True, check=True
    ).stdout
    return [name for name in listing.split("\0") if name]


def main(arguments: list[str] | None = None) -> int:
    """Print them."""
    parser = argparse.ArgumentParser(prog="python -m tools.changed", description=__doc__)
    parser.add_argument("revision")
    chapters = [path.relative_to(ROOT).as_posix() for path in chapter_paths()]
    try:
        changed = changed_since(parser.parse_args(arguments).revision)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"what has changed cannot be told: {getattr(error, 'stderr', None) or error}", file=sys.stderr)
        return 1
    print("\n".join(chapters_to_run(changed, chapters)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
