"""Learning paths add up what the chapters say of themselves; the index lists every exercise once."""

import pytest
from bs4 import BeautifulSoup
from course import efforts, in_words, read_path
from sphinx.errors import ExtensionError
from tiny_book import COMPLETE, REPOSITORY, notebook

TOC = """root: index
parts:
  - chapters:
      - file: chapters/course
      - file: chapters/concepts/idea
      - file: chapters/code/network
"""


def exercise(title, rating, minutes, label):
    return f"```{{exercise}} {title} {rating}\n:label: {label}\n\n*{minutes} min · objective 1.* Do it.\n```"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    from tiny_book import Book

    tiny = Book(tmp_path_factory.mktemp("course"), ("sphinx_exercise", "course", "exercises"), {})
    tiny.write("_toc.yml", TOC)
    path = "```{learning-path}\nOne. | concepts/idea\nBoth. | concepts/idea, code/network\n```\n\n```{exercise-index}\n```\n"
    tiny.write("chapters/course.md", f"# Course\n\n{path}")
    for docname, tasks in (
        ("concepts/idea", [exercise("Long", "●○○", 25, "ex-long"), exercise("Short", "●○○", 5, "ex-short")]),
        ("code/network", [exercise("Hard", "●●●", 90, "ex-hard")]),
    ):
        title = docname.rpartition("/")[2].capitalize()
        tiny.write(f"chapters/{docname}.ipynb", notebook(f"# {title}\n\nText.", *tasks, book=COMPLETE))
    built = tiny.build()
    return tiny.root, BeautifulSoup(built.html("chapters/course"), "html.parser")


def test_each_step_and_the_whole_say_their_time(rendered):
    _, page = rendered
    path = page.select_one(".learning-path")
    assert [step.get_text() for step in path.select("li")] == [
        "One. Idea. 35 min of reading, 2 exercises in 30 min.",
        "Both. Idea, Network. 70 min of reading, 3 exercises in 2 h.",
    ]
    assert path.select("p")[-1].get_text() == "In all 2 h of reading, 5 exercises in 2.5 h."


def test_the_index_has_each_exercise_once_by_difficulty_and_then_minutes(rendered):
    _, page = rendered
    index = page.select_one(".exercise-index")
    assert [item.get_text() for item in index.select("li")] == [
        "5 min: Short, Idea",
        "25 min: Long, Idea",
        "90 min: Hard, Network",
    ]
    assert [link["href"].partition("#")[2] for link in index.select("li a:first-of-type")] == [
        "ex-short",
        "ex-long",
        "ex-hard",
    ]


@pytest.mark.parametrize(
    ("minutes", "words"), [(5, "5 min"), (90, "90 min"), (91, "1.5 h"), (119, "2 h"), (500, "8.5 h")]
)
def test_times_are_said_as_people_say_them(minutes, words):
    assert in_words(minutes) == words


@pytest.mark.parametrize(
    ("line", "told"),
    [("A title", "a bar and chapters, got 'A title'"), ("Two. | code/none", "names chapters/code/none")],
)
def test_a_step_that_leads_nowhere_is_refused(line, told):
    with pytest.raises(ExtensionError, match=told):
        read_path([line], {})


def test_eight_weeks_lead_through_all_chapters_of_the_first_five_tracks_but_a_few():
    """A chapter that is written and in no path is named here, with a reason in the commit that adds it."""
    text = (REPOSITORY / "chapters/course.md").read_text(encoding="utf-8")
    weeks = text.partition("## Eight weeks")[2].partition("## A closing project")[0]
    missing = [name for name in efforts(REPOSITORY) if name.removeprefix("chapters/") not in weeks]
    assert missing == ["chapters/faq/questions_and_answers"]
