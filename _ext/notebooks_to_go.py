"""The download button hands out a notebook that stands alone: no markup but Markdown, and a cell that installs the library.

The stored notebook stays as it is. Sphinx copies it beside the page; here that copy is replaced.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from tools.plain.__main__ import write_all


def replace_copies(app: Sphinx, error: Exception | None) -> None:
    """Write the notebooks over the copies of their sources; of a page that was not written anew, it stands there already."""
    if error or app.builder.format != "html":
        return
    root = Path(app.srcdir)
    paths = [Path(app.env.doc2path(name)) for name in sorted(app.env.found_docs)]
    copies = Path(app.outdir) / "_sources"
    notebooks = [
        path for path in paths if path.suffix == ".ipynb" and _is_copy(copies / path.relative_to(root), of=path)
    ]
    url = (app.config.html_theme_options.get("repository_url") or "").strip()
    branch = app.config.html_theme_options.get("repository_branch") or "main"
    write_all(copies, notebooks, url, root, together=False, branch=branch)


def _is_copy(path: Path, of: Path) -> bool:
    return path.is_file() and path.read_bytes() == of.read_bytes()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", replace_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
