"""python -m tools.course: write the student edition into _build/course."""

import argparse
import sys

from tools.course.bundle import FOLDER, build
from tools.notebooks import NotebookError
from tools.notebooks.files import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Build it, and say where it is."""
    argparse.ArgumentParser(prog="python -m tools.course", description=__doc__).parse_args(arguments)
    try:
        target = build()
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{FOLDER.relative_to(ROOT)} and {target.relative_to(ROOT)} ({target.stat().st_size / 1024:.0f} KB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
