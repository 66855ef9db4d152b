"""python -m tools.notebooks execute|verify|robust|check|edit|export|import …"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.notebooks.canonical import NotebookError
from tools.notebooks.debts import measure, name_of, settle
from tools.notebooks.execution import cores, execute
from tools.notebooks.files import chapter_paths, read, replace_text, write
from tools.notebooks.review import deviations
from tools.notebooks.robust import robust
from tools.notebooks.stores import check_wanted
from tools.notebooks.text import export_text, import_text
from tools.notebooks.validation import verify


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 1 when anything failed."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1


def _execute(options: argparse.Namespace) -> int:
    paths = options.notebooks or chapter_paths()
    check_wanted(paths)
    runs = execute(paths, workers=options.workers)
    failed = [run for run in runs if run.failure]
    settle({name_of(run.path): measure(read(run.path)) for run in runs if not run.failure})
    for run in failed:
        print(f"\n{run.path} failed and was left as it was\n{run.failure}", file=sys.stderr)
    return 1 if failed else 0


def _export(options: argparse.Namespace) -> int:
    text = export_text(read(options.notebook))
    if options.text is None:
        sys.stdout.write(text)
    else:
        replace_text(options.text, text)
    return 0


def _import(options: argparse.Namespace) -> int:
    try:
        text = options.text.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotebookError(f"{options.text}: no such file") from None
    existing = read(options.notebook) if options.notebook.exists() else None
    try:
        write(options.notebook, import_text(text, existing))
    except NotebookError as error:
        raise NotebookError(f"{options.text}: {error}") from None
    return 0


def _edit(options: argparse.Namespace) -> int:
    """Open the notebook as text in $VISUAL or $EDITOR, and import it when the editor is closed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise NotebookError("no editor is known: set EDITOR, for example EDITOR='code --wait'")
    if not options.notebook.exists():
        raise NotebookError(
            f"{options.notebook}: no such chapter; make new CHAPTER={options.notebook} TRACK=… begins one"
        )
    existing = read(options.notebook)
    before = export_text(existing)
    folder = Path(tempfile.mkdtemp(prefix="chapter-"))
    text = folder / f"{options.notebook.stem}.md"
    text.write_text(before, encoding="utf-8")
    try:
        status = subprocess.run([*shlex.split(editor), str(text)], check=False).returncode
        if status:
            raise NotebookError(f"the editor ended with status {status}")
        after = text.read_text(encoding="utf-8")
        if after != before:
            write(options.notebook, import_text(after, existing))
    except (NotebookError, OSError) as error:
        raise NotebookError(f"{options.notebook} was left as it was; your text is kept in {text}\n{error}") from None
    text.unlink()
    folder.rmdir()
    return 0


def _check(options: argparse.Namespace) -> int:
    findings = [f"{path}: {finding}" for path in options.notebooks or chapter_paths() for finding in deviations(path)]
    print("\n".join(findings) or "all notebooks are as they should be")
    return 1 if findings else 0


def _verify(options: argparse.Namespace) -> int:
    paths = options.notebooks or chapter_paths()
    if not paths:
        raise NotebookError("there is no notebook under chapters/")
    verify(paths, options.workers or min(cores(), len(paths)))
    return 1  # not reached: this process has become pytest


def _robust(options: argparse.Namespace) -> int:
    paths = options.notebooks or chapter_paths()
    return 0 if robust(paths, options.workers or min(cores(), len(paths))) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("execute", help="run notebooks in fresh kernels and store their outputs")
    command.add_argument("notebooks", nargs="*", type=Path, help="all chapters when none is named")
    command.add_argument("--workers", type=int, help="kernels at a time (one a core)")
    command.set_defaults(run=_execute)
    command = commands.add_parser("verify", help="run notebooks with the network off and compare stored outputs")
    command.add_argument("notebooks", nargs="*", type=Path, help="all chapters when none is named")
    command.add_argument("--workers", type=int, help="notebooks at a time (one a core)")
    command.set_defaults(run=_verify)
    command = commands.add_parser("robust", help="verify under several numerics profiles, and report what they change")
    command.add_argument("notebooks", nargs="*", type=Path, help="all chapters when none is named")
    command.add_argument("--workers", type=int, help="notebooks at a time (one a core)")
    command.set_defaults(run=_robust)
    command = commands.add_parser("export", help="write a notebook as MyST text")
    command.add_argument("notebook", type=Path)
    command.add_argument("text", type=Path, nargs="?", help="standard output when left out")
    command.set_defaults(run=_export)
    command = commands.add_parser("import", help="make a notebook of MyST text")
    command.add_argument("text", type=Path)
    command.add_argument("notebook", type=Path)
    command.set_defaults(run=_import)
    command = commands.add_parser("edit", help="open a notebook as text in $EDITOR, import it on closing")
    command.add_argument("notebook", type=Path)
    command.set_defaults(run=_edit)
    command = commands.add_parser("check", help="say what keeps notebooks from being published")
    command.add_argument("notebooks", nargs="*", type=Path, help="all chapters when none is named")
    command.set_defaults(run=_check)
    return parser


if __name__ == "__main__":
    sys.exit(main())
