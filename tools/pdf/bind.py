"""Many printed pages bound to one PDF: one outline, page numbers throughout, and links from page to page."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from pypdf import PdfReader, PdfWriter
from pypdf.generic import Destination, Fit, IndirectObject, NameObject

from tools.pages.assembled import ORIGIN

__all__ = ["bound"]


def bound(parts: Sequence[tuple[int, Path]], file: Path, footers: Path | None = None) -> None:
    """Write one PDF out of the parts, each with its depth in the outline, complete or not at all.

    A link to ``ORIGIN + name`` becomes a jump to that name, wherever it stands. `footers` has as many pages as all parts together.
    """
    writer = PdfWriter()
    above: list[IndirectObject] = []  # the outline's entries on the way to the present part
    for depth, part in parts:
        reader = PdfReader(part)
        start = len(writer.pages)
        writer.append(reader, import_outline=False)
        del above[depth:]
        first = _outline(writer, reader, reader.outline, start, above[-1] if above else None)
        if first is not None:
            above.append(first)
    if footers is not None:
        for page, footer in zip(writer.pages, PdfReader(footers).pages, strict=True):
            page.merge_page(footer)
    _join_links(writer)
    writer.compress_identical_objects()
    half = file.with_suffix(".part")
    try:
        writer.write(half)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)


def _outline(
    writer: PdfWriter, reader: PdfReader, entries: list, start: int, above: IndirectObject | None
) -> IndirectObject | None:
    """Add the entries of one part below another entry; returns the first of them."""
    first = last = None
    for entry in entries:
        if isinstance(entry, Destination):
            page = reader.get_destination_page_number(entry)
            fit = Fit.xyz(left=entry.left, top=entry.top)
            last = writer.add_outline_item(title=entry.title, page_number=start + (page or 0), parent=above, fit=fit)
            first = first or last
        else:
            _outline(writer, reader, entry, start, last)
    return first


def _join_links(writer: PdfWriter) -> None:
    """Turn links to ORIGIN into jumps inside of the document."""
    places = {name.removeprefix("/"): place for name, place in writer.named_destinations.items()}
    for page in writer.pages:
        for reference in page.get("/Annots", ()):
            link = reference.get_object()
            address = str(link.get("/A", {}).get("/URI", ""))
            if address.startswith(ORIGIN):
                name = unquote(address.removeprefix(ORIGIN))
                if name not in places:
                    raise ValueError(f"a link leads to {name!r}, which no printed page has")
                link[NameObject("/Dest")] = places[name].dest_array
                del link["/A"]
