"""The one form in which a notebook is committed.

A notebook that two people execute must come out as the same bytes, so that a change in the
history is a change of the chapter. Whatever varies for no good reason is derived or dropped:
cell ids come from the content, the kernel is `python3`, counts are positions, time stamps go.
"""

import base64
import copy
import hashlib
import re

import nbformat

from tools.chapter.kinds import FOLDED

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE_INFO = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}
LARGEST_IMAGE = 60 * 1024  # bytes
LARGEST_TEXT = 100 * 1024  # characters that one cell may show

_LEFT_BY_EDITORS = {"jupytext", "widgets", "vscode", "colab", "signature", "orig_nbformat"}
_LEFT_BY_RUNS = {
    "execution", "ExecuteTime", "collapsed", "scrolled", "trusted", "id", "outputId", "colab", "vscode",
    "lines_to_next_cell", "jupyterlab_mathjax",
}  # fmt: skip
_FILE_NAME = re.compile(r"\S*\.(png|jpe?g|svg|gif|webp)", re.IGNORECASE)


class NotebookError(ValueError):
    """What is wrong with a notebook, one line for each finding."""


def canonicalise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy of the notebook in canonical form; applying it twice changes nothing more.

    Raises NotebookError for what no rewriting can mend: a foreign kernel, an image that is too
    large or has no description, an attachment.
    """
    notebook = copy.deepcopy(notebook)
    problems = _canonicalise_metadata(notebook)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    seen: set[str] = set()
    position = 0
    for cell in notebook.cells:
        cell.source = cell.source.rstrip("\n")  # the text form cannot tell such an end
        cell.id = _cell_id(cell, seen)
        cell.metadata = nbformat.from_dict(_clean(cell.metadata, _LEFT_BY_RUNS))
        if cell.pop("attachments", None):
            problems.append(f"{_first_line(cell)}: has an attachment; draw the picture in a cell instead")
        if cell.cell_type == "code":
            position += 1
            problems += _canonicalise_code(cell, position)
    if problems:
        raise NotebookError("\n".join(problems))
    nbformat.validate(notebook)
    return notebook


def serialise(notebook: nbformat.NotebookNode) -> str:
    """The text of the file: sorted keys, an indent of one, a newline at the end."""
    return nbformat.writes(notebook, sort_keys=True, indent=1, ensure_ascii=False).rstrip("\n") + "\n"


def _clean(metadata: dict, unwanted: set[str]) -> dict:
    return {key: value for key, value in metadata.items() if key not in unwanted}


def _first_line(cell: nbformat.NotebookNode) -> str:
    return f"cell `{cell.source.strip().splitlines()[0][:60]}`"


def _cell_id(cell: nbformat.NotebookNode, seen: set[str]) -> str:
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
    identifier, copies = digest, 1
    while identifier in seen:
        copies += 1
        identifier = f"{digest}-{copies}"
    seen.add(identifier)
    return identifier


def _canonicalise_metadata(notebook: nbformat.NotebookNode) -> list[str]:
    kernel = notebook.metadata.get("kernelspec", {})
    name = kernel.get("name", "python3")
    language = kernel.get("language") or notebook.metadata.get("language_info", {}).get("name") or name
    metadata = _clean(notebook.metadata, _LEFT_BY_EDITORS)
    metadata |= {"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO}
    notebook.metadata = nbformat.from_dict(metadata)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    if not language.startswith("python"):  # an environment's own kernel of any name is python3 too
        return [f"kernel '{name}' ({language}) is unknown here: chapters run on python3"]
    return []


def _canonicalise_code(cell: nbformat.NotebookNode, position: int) -> list[str]:
    if FOLDED & set(cell.metadata.get("tags", [])):
        cell.metadata.setdefault("jupyter", nbformat.NotebookNode())["source_hidden"] = True
    elif "jupyter" in cell.metadata:
        cell.metadata.jupyter.pop("source_hidden", None)
        if not cell.metadata.jupyter:
            del cell.metadata["jupyter"]
    cell.execution_count = position if cell.execution_count is not None else None
    cell.outputs = _merged_streams(cell.outputs)
    problems = []
    try:
        check_text_length(cell.outputs)
    except NotebookError as error:
        problems.append(f"{_first_line(cell)}: {error}")
    images = 0
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = position
        for mime in [mime for mime in output.get("data", {}) if mime.startswith("image/")]:
            images += 1
            problems += _canonicalise_image(cell, output, mime)
    if images > 1:
        problems.append(f"{_first_line(cell)}: {images} images; one figure a cell, each has its own description")
    return problems


def check_text_length(outputs: list[nbformat.NotebookNode]) -> None:
    """Raise NotebookError when the outputs of one cell hold more text than anybody reads, pictures aside."""
    streams = [output.get("text", "") for output in outputs if output.output_type == "stream"]
    data = [value for output in outputs for mime, value in output.get("data", {}).items() if mime.startswith("text/")]
    shown = sum(map(len, streams + data))
    if shown > LARGEST_TEXT:
        raise NotebookError(f"shows {shown:,} characters of text; at most {LARGEST_TEXT:,}")


def _canonicalise_image(cell: nbformat.NotebookNode, output: nbformat.NotebookNode, mime: str) -> list[str]:
    problems = []
    data = output.data[mime]
    if mime == "image/svg+xml":
        size = len(data.encode())
    else:
        data = output.data[mime] = data.strip() + "\n"
        size = len(base64.b64decode(data))
    if size > LARGEST_IMAGE:
        problems.append(f"{_first_line(cell)}: {mime} of {size / 1024:.1f} KB; at most {LARGEST_IMAGE // 1024} KB")
    alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")).strip()
    if not alt or _FILE_NAME.fullmatch(alt):
        problems.append(f"{_first_line(cell)}: a figure without description; set mystnb: image: alt in the cell")
    output.metadata[mime] = output.metadata.get(mime, nbformat.NotebookNode()) | {"alt": alt}
    return problems


def _merged_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """One stdout where the first one stood; stderr goes: it is the machine's voice, not the chapter's."""
    merged, stdout = [], None
    for output in outputs:
        if output.output_type != "stream":
            merged.append(output)
        elif output.name == "stdout":
            if stdout is None:
                stdout = output
                merged.append(stdout)
            else:
                stdout.text += output.text
    return merged
