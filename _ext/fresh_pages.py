"""No page is left as it was when something else that it shows has changed.

Sphinx reads a page again when its own file changed. Three things it does not see: a page made of facts about other files
(``Facts``), a page that names another page's title, figure, equation, term or function, and the navigation on every page.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinxcontrib.bibtex.nodes import bibliography

Facts = Callable[[Path], object]  # of the book's root folder; what it returns can be compared and pickled
_FACTS: dict[str, Facts] = {}
BIBLIOGRAPHY = "# all works that are cited"


def facts(name: str, gather: Facts) -> None:
    """Declare what pages with ``note_facts(env, name)`` are made of."""
    _FACTS[name] = gather


def note_facts(env: BuildEnvironment, name: str, *parts: Hashable) -> None:
    """The present page is read again as soon as these facts are others; with parts, when what these keys hold is."""
    noted, now = _store(env, "book_facts").setdefault(env.docname, {}), _FACTS[name](Path(env.srcdir))
    noted.update({(name, part): _part(now, part) for part in parts or [None]})


def _part(gathered: object, part: Hashable) -> object:
    return gathered if part is None else gathered.get(part)


def _store(env: BuildEnvironment, name: str) -> dict:
    """What the environment remembers under a name, for each page."""
    return env.__dict__.setdefault(name, {})


def outdated(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> list[str]:
    """The pages whose facts are no longer what they were."""
    known = _store(env, "book_facts")
    wanted = {name for noted in known.values() for name, _ in noted}
    now = {name: _FACTS[name](Path(env.srcdir)) for name in wanted}
    return [
        page
        for page, noted in known.items()
        if any(_part(now[name], part) != then for (name, part), then in noted.items())
    ]


def note_names(app: Sphinx, document: nodes.document) -> None:
    """Remember what a page refers to, before its references are resolved."""
    found = {BIBLIOGRAPHY} if next(document.findall(bibliography), None) is not None else set()
    for reference in document.findall(addnodes.pending_xref):
        found.update(name.strip().lower() for name in reference["reftarget"].split(","))
        found.add(f"{reference['reftarget']}#{reference.get('reftargetid')}")
    _store(app.env, "book_references")[app.env.docname] = found


def depending(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages to be written again because a name that they show means something else than in the last build."""
    navigation, names = _navigation(env), _names(env)
    known_navigation, known_names = _store(env, "book_navigation"), _store(env, "book_names")
    env.book_navigation, env.book_names = navigation, names
    if navigation != known_navigation:
        return sorted(env.found_docs)
    changed = {name for name in {*names, *known_names} if names.get(name) != known_names.get(name)}
    changed |= {name.rpartition(".")[2] for name in changed}  # a function may be referred to by its last name
    return [page for page, found in _store(env, "book_references").items() if found & changed]


def _navigation(env: BuildEnvironment) -> dict[str, tuple]:
    """Title and number of each page: they stand beside every page."""
    return {page: (title.astext(), env.toc_secnumbers.get(page, {}).get("")) for page, title in env.titles.items()}


def _names(env: BuildEnvironment) -> dict[str, tuple]:
    """Everything that can be referred to, with where it stands, its title and its number."""

    def number(page: str, anchor: str) -> tuple:
        by_kind = env.toc_fignumbers.get(page, {}).values()
        return env.toc_secnumbers.get(page, {}).get(f"#{anchor}"), *(anchors.get(anchor) for anchors in by_kind)

    standard, cite = env.get_domain("std"), env.domains.get("cite")
    citations = {citation.key: str(citation.formatted_entry.text) for citation in getattr(cite, "citations", ())}
    slugs = {
        f"{page}#{slug}": heading
        for page, known in env.metadata.items()
        for slug, heading in known.get("myst_slugs", {}).items()
    }
    return {
        **{name: (*place, number(*place[:2])) for name, place in (standard.anonlabels | standard.labels).items()},
        **{name.lower(): place for (_, name), place in standard.objects.items()},
        **{
            label.lower(): (page, number(page, f"equation-{label}"))
            for label, (page, _) in env.domaindata["math"]["objects"].items()
        },
        **{name.lower(): tuple(place)[:3] for name, place in env.get_domain("py").objects.items()},
        **{key.lower(): (text,) for key, text in citations.items()},
        **{anchor: (str(heading),) for anchor, heading in slugs.items()},
        BIBLIOGRAPHY: tuple(sorted(citations.items())),
    }


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a page that is read anew, or gone."""
    for name in ("book_facts", "book_references"):
        _store(env, name).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: Iterable[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    for name in ("book_facts", "book_references"):
        known, read = _store(env, name), _store(other, name)
        known.update({docname: read[docname] for docname in docnames if docname in read})


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", note_names)
    app.connect("env-get-updated", depending, priority=900)  # when all numbers and citations are known
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
