"""Roles become text and links, code stays code, and in full no markup of MyST's is left."""

import pytest

from tools.notebooks.files import ROOT
from tools.plain import Labels, plain_text
from tools.plain.text import Reader

HERE = "chapters/formulas/gradient_attribution"
LABELS = Labels(ROOT)
FIRST = f"{LABELS.numbers[HERE]}.1"  # of this chapter, wherever it stands in the book
ELSEWHERE = f"{LABELS.numbers['chapters/code/explain_an_image_classifier']}.1"


def plain(source, *, in_full=False, has=lambda name: (ROOT / name).is_file()):
    return plain_text(source, Reader(LABELS, HERE, has), in_full=in_full)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("see {numref}`fig-attribution-nudge`", f"see Fig. {FIRST}"),
        ("by {eq}`eq-saliency`", f"by ({FIRST})"),
        ("by {eq}`eq-occlusion`", f"by [({ELSEWHERE})](../code/explain_an_image_classifier.ipynb)"),
        ("{cite:t}`simonyan2014deep` say", "[Simonyan et al. (2014)](https://arxiv.org/abs/1312.6034) say"),
        ("known {cite:p}`simonyan2014deep`", "known ([Simonyan et al., 2014](https://arxiv.org/abs/1312.6034))"),
        ("{term}`feature maps <feature map>` of", "feature maps of"),
        ("{term}`saliency map`", "saliency map"),
        ("{func}`~lib.core.training.train`", "[`train`](../../lib/core/training.py)"),
        ("{func}`our training <lib.core.training.train>`", "[`our training`](../../lib/core/training.py)"),
        ("{mod}`lib.explanations`", "[`lib.explanations`](../../lib/explanations/__init__.py)"),
        ("{doc}`/chapters/code/train_a_cnn`", "[Train a CNN](../code/train_a_cnn.ipynb)"),
        ("{doc}`next </chapters/code/train_a_cnn>`", "[next](../code/train_a_cnn.ipynb)"),
        ("[Erratum](erratum-000-11)", "[Erratum](../faq/source_errata.md)"),
        ("[exercise](ex-attribution-path)", "exercise"),
        ("[dense](dense_layers.ipynb)", "[dense](dense_layers.ipynb)"),
        ("[out](https://example.org)", "[out](https://example.org)"),
        ("$$\na\n$$ (eq-saliency)", f"$$\na\n\\tag{{{FIRST}}}\n$$"),
        ("`{term}` and ``{eq}`eq-saliency` ``", "`{term}` and ``{eq}`eq-saliency` ``"),
        ("```python\nx = '{term}`a`'\n```", "```python\nx = '{term}`a`'\n```"),
        ("```{margin}\nSee {eq}`eq-saliency`.\n```\nand {eq}`eq-saliency`", f"```{{margin}}\nSee ({FIRST}).\n```\nand ({FIRST})"),
        ("{kbd}`Esc` and {eq}`eq-unknown`", "{kbd}`Esc` and {eq}`eq-unknown`"),
    ],
)  # fmt: skip
def test_roles_become_text(source, expected):
    assert plain(source).replace("Train a convolutional network", "Train a CNN") == expected


def test_what_the_reader_does_not_have_is_no_link():
    source = "[dense](dense_layers.ipynb), [Erratum](erratum-000-11), {func}`~lib.core.training.train`"
    assert plain(source, has=lambda name: False) == "dense, Erratum, `train`"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("```{margin}\n**Note.** Small.\n```", "> **Note.** Small."),
        ("```{admonition} Hint\n:class: dropdown\n\nThink.\n```", "<details><summary>Hint</summary>\n\nThink.\n\n</details>"),
        ("```{note}\nMind.\n```", "> **Note**\n>\n> Mind."),
        ("```{exercise} Why ●○○\n:label: ex-a\n\nSay.\n```", "**Exercise.** Why ●○○\n\nSay."),
        ("(here)=\n## Title", "## Title"),
        (
            "````{admonition} Question 1\n:class: quiz\n\nWhich?\n\n```{dropdown} A. One\n**Right.** Yes.\n```\n````",
            "**Question 1**\n\nWhich?\n\n<details><summary>A. One</summary>\n\n**Right.** Yes.\n\n</details>",
        ),
        ("```{solution-start} ex-a\n```", ""),
    ],
)  # fmt: skip
def test_in_full_directives_become_markdown(source, expected):
    assert plain(source, in_full=True) == expected


def test_a_definition_shown_from_the_library_is_shown():
    source = "```{literalinclude} ../../lib/core/evidence.py\n:pyobject: evidence\n```"
    shown = plain(source, in_full=True)
    assert shown.startswith("```python\ndef evidence()")
    assert shown.endswith("\n```")
