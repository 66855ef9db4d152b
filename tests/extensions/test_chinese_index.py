"""Chinese terms of the glossary stand together in the index."""

import re

import pytest

PAGE = """# Words

```{glossary}
attention
注意力
  What is looked at.

1F1B 调度
  A schedule.

残差连接
  A path around.

归一化 : N
  Its own heading.
```
"""


@pytest.fixture
def index(book):
    """The index, by heading."""
    made = book("chinese_index")
    made.write("page.md", PAGE)
    built = made.build()
    assert built.warnings == ""
    _, *parts = re.split(r"<h2[^>]*>(.*?)</h2>", built.html("genindex"))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_chinese_terms_have_one_heading_and_keep_their_own(index):
    found = {
        heading: re.findall(r'href="page.html#[^"]*">(?:<strong>)?([^<]+)<', part) for heading, part in index.items()
    }
    assert found == {"Symbols": ["1F1B 调度"], "A": ["attention"], "Chinese": ["残差连接", "注意力"], "N": ["归一化"]}
