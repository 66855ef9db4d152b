"""A chapter with two exercises, as a writer would type it."""

import nbformat

from tools.notebooks import import_text

CHAPTER = """\
---
book:
  track: test
---

# A chapter

## What you will be able to do

1. Double
2. Add
3. Quadruple

```{code-cell} ipython3
import math
```

```{code-cell} ipython3
calls = []
print("before the exercises")
```

## Exercises

```{exercise} Double it ●○○
:label: ex-double

*5 min · objective 2.* Write a function that doubles.
```

````{admonition} Hint
:class: dropdown

Once more the same:

```python
2 + 2
```
````

```{code-cell} ipython3
:tags: [starter]
def double(x):
    ...  # your code
```

```{solution-start} ex-double
:class: dropdown
```

The secret is in the sum.

```{code-cell} ipython3
:tags: [solution]
def double(x):
    return x + x
```

```{code-cell} ipython3
:tags: [solution]
print("a secret picture")
```

Prose that explains the secret.

```{solution-end}
```

Now check it.

```{code-cell} ipython3
:tags: [check]
calls.append("check")
assert double(21) == 42, "twice 21 is 42"
print("well done")
```

```{exercise} Quadruple it ●●○
:label: ex-quadruple

*10 min · objectives 1, 3.* Use what you have.
```

```{admonition} Hint
:class: dropdown

Twice twice.
```

```{code-cell} ipython3
:tags: [starter]
quadruple = ...
```

```{solution-start} ex-quadruple
:class: dropdown
```

```{code-cell} ipython3
:tags: [solution]
def quadruple(x):
    return double(double(x))
```

```{solution-end}
```

```{code-cell} ipython3
:tags: [check]
assert calls == ["check"], "the copy in which a starter fails leaves no trace"
assert quadruple(3) == 12
```

## Summary

Done.
"""


def chapter(*changes: tuple[str, str]) -> nbformat.NotebookNode:
    """The chapter, each change (old text, new text) made in its first occurrence."""
    text = CHAPTER
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return import_text(text)
