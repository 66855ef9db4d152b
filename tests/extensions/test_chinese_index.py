"""Chinese terms of the glossary stand together in the index."""

import re

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


def test_chinese_terms_have_one_heading_and_keep_their_own(book):
    made = book("chinese_index")
    made.write("page.md", PAGE)
    built = made.build()
    assert built.warnings == ""
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", built.html("genindex"))
    assert sorted(headings) == ["A", "Chinese", "N", "Symbols"]
    under = built.html("genindex").split('id="Chinese"')[1]
    assert "注意力" in under and "残差连接" in under and "归一化" not in under and "1F1B" not in under
