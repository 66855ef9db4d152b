"""The book in one EPUB: files that a reading device accepts, links inside of it, formulas as MathML, every picture."""

import zipfile
from xml.etree import ElementTree

import pytest
from site_browser import SOME_PAGES

from tools.epub.__main__ import book
from tools.epub.pack import Chapter, packed
from tools.pages.assembled import ORIGIN

pytestmark = pytest.mark.site

XHTML, MATHML = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/1998/Math/MathML}"
PACKAGE = "{http://www.idpf.org/2007/opf}"


@pytest.fixture(scope="module")
def archive(browser, site, tmp_path_factory):
    """Four pages of the book, packed."""
    file = tmp_path_factory.mktemp("epub") / "some.epub"
    book(browser, site, SOME_PAGES, file)
    assert [left.name for left in file.parent.iterdir()] == ["some.epub"]
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def trees(archive):
    """Each document of it, parsed, which fails where it is no XML."""
    return {
        name.removeprefix("book/"): ElementTree.fromstring(archive.read(name))
        for name in archive.namelist()
        if name.endswith((".xhtml", ".opf", "container.xml"))
    }


def attributes(tree, tag, attribute):
    return [element.get(attribute) for element in tree.iter(XHTML + tag) if element.get(attribute)]


def test_the_kind_stands_first_and_uncompressed(archive):
    first = archive.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert archive.read(first) == b"application/epub+zip"


def test_the_package_names_each_file_once_and_says_what_it_holds(archive, trees):
    items = list(trees["package.opf"].iter(PACKAGE + "item"))
    places = [item.get("href") for item in items]
    inside = {name.removeprefix("book/") for name in archive.namelist() if name.startswith("book/")}
    assert sorted(places) == sorted(inside - {"package.opf"})
    said = {item.get("href"): set((item.get("properties") or "").split()) for item in items}
    for name in ("page-1.xhtml", "page-2.xhtml", "page-4.xhtml"):
        assert ("mathml" in said[name]) == any(trees[name].iter(MATHML + "math")), name
    assert said["contents.xhtml"] == {"nav"}
    order = [item.get("idref") for item in trees["package.opf"].iter(PACKAGE + "itemref")]
    assert order == [f"page-{number + 1}" for number in range(len(SOME_PAGES))]


def test_links_lead_to_a_name_in_the_book_or_out_to_the_web(trees):
    names = {page: {element.get("id") for element in tree.iter()} for page, tree in trees.items()}
    targets = [(page, target) for page, tree in trees.items() for target in attributes(tree, "a", "href")]
    inside = [(page, target) for page, target in targets if not target.startswith("https://")]
    for page, target in inside:
        file, _, name = target.partition("#")
        assert (name or None) in names[file or page] | {None}, (page, target)
    assert [target for _, target in targets if ORIGIN in target] == []
    assert sum(target.startswith("page-4.xhtml#") for _, target in inside) > 10, "terms lead to the glossary"


def test_the_contents_are_nested_as_the_book_is(trees):
    first, *_ = trees["contents.xhtml"].iter(XHTML + "ol")
    part, glossary = first.findall(XHTML + "li")
    assert (part.find(XHTML + "a").text, glossary.find(XHTML + "a").text) == ("3. Formulas", "Glossary")
    entries = [entry.find(XHTML + "a").text for entry in part.find(XHTML + "ol").findall(XHTML + "li")]
    assert entries[-2:] == ["3.1. Convolution", "3.2. Pooling"]


def test_every_picture_is_packed_with_its_description(archive, trees):
    pictures = [image for tree in trees.values() for image in tree.iter(XHTML + "img")]
    assert len(pictures) >= 4
    for image in pictures:
        assert archive.getinfo(f"book/{image.get('src')}").file_size > 1000
        assert len(image.get("alt")) > 40


def test_formulas_are_mathml_and_nothing_waits_for_a_script(trees):
    convolution = trees["page-2.xhtml"]
    assert len(list(convolution.iter(MATHML + "math"))) > 20
    named = {element.tag for tree in trees.values() for element in tree.iter()}
    assert not named & {XHTML + tag for tag in ("script", "button", "input", "mjx-container")}
    folds = list(convolution.iter(XHTML + "details"))
    assert len(folds) > 20
    assert [fold for fold in folds if fold.find(XHTML + "summary") is None or fold.get("open") is not None] == []


def chapter(body):
    return Chapter(depth=0, title="A & B", sections=[], parts=[], body=body, pictures=())


def test_a_link_to_nothing_is_named_and_no_file_is_written(tmp_path):
    lost = chapter(f'<section id="page-1"><a href="{ORIGIN}page-7-term">term</a></section>')
    with pytest.raises(ValueError, match="a link leads to 'page-7-term', which no chapter has"):
        packed([lost], tmp_path / "book.epub")
    assert list(tmp_path.iterdir()) == []


def test_an_old_book_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "book.epub"
    packed([chapter('<section id="page-1">old</section>')], file)
    old = file.read_bytes()
    monkeypatch.setattr("tools.epub.pack.STYLE", tmp_path / "missing.css")
    with pytest.raises(FileNotFoundError):
        packed([chapter('<section id="page-1">new</section>')], file)
    assert file.read_bytes() == old
    assert [left.name for left in tmp_path.iterdir()] == ["book.epub"]
