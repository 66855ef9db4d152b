"""JupyterLab's view of the chapters: what `make lab` serves differs from what is stored, and what is saved is stored again.

A chapter is opened with its roles as text, captions below its figures and its solutions folded; saving takes all of that out of
it, so that an edit made in JupyterLab goes straight into the chapter's file. Other notebooks pass unchanged.
"""

from pathlib import Path

import nbformat
from jupyter_client.kernelspec import get_kernel_spec
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from tools.notebooks.canonical import KERNELSPEC, LANGUAGE_INFO
from tools.plain.labels import Labels
from tools.plain.notebook import for_jupyterlab, from_jupyterlab

ROOT = Path(__file__).resolve().parents[2]


class ChapterManager(AsyncLargeFileManager):
    """The files of the repository, chapters made readable on their way out and restored on their way in."""

    async def get(self, path, content=True, type=None, format=None, **more):
        """A file's model, as Jupyter's own manager gives it."""
        model = await super().get(path, content=content, type=type, format=format, **more)
        if model["type"] == "notebook" and content and _is_chapter(path):
            model["content"] = shown(model["content"], path.strip("/"))
        return model

    async def save(self, model, path=""):
        """Save a model that a browser sent."""
        if model.get("type") == "notebook" and model.get("content") and _is_chapter(path):
            model = {**model, "content": stored(nbformat.from_dict(model["content"]))}
        return await super().save(model, path)


def _is_chapter(path: str) -> bool:
    return path.strip("/").startswith("chapters/") and ".ipynb_checkpoints" not in path


def shown(notebook: nbformat.NotebookNode, path: str) -> nbformat.NotebookNode:
    """What JupyterLab gets; the kernel is named as it names itself, so that opening a chapter changes nothing in it."""
    view = for_jupyterlab(notebook, path.removesuffix(".ipynb"), Labels(ROOT), lambda name: (ROOT / name).is_file())
    if view.metadata.get("kernelspec", {}).get("name") == KERNELSPEC["name"]:
        view.metadata.kernelspec.display_name = get_kernel_spec(KERNELSPEC["name"]).display_name
        view.metadata.language_info = nbformat.from_dict(_language_info())
    return view


def stored(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """What goes into the file."""
    kept = from_jupyterlab(notebook)
    if kept.metadata.get("kernelspec", {}).get("name") == KERNELSPEC["name"]:
        kept.metadata.kernelspec = nbformat.from_dict(KERNELSPEC)
        kept.metadata.language_info = nbformat.from_dict(LANGUAGE_INFO)
    return kept


def _language_info() -> dict:
    """What the kernel will say of its language, without starting one."""
    from ipykernel.ipkernel import IPythonKernel

    return IPythonKernel.language_info
