"""Launch and repository buttons, switched on by one setting: the repository's address in ``_config.yml``.

Jupyter Book hands ``repository: url`` to the theme as ``repository_url``. While it is empty, no button that needs it
is shown; the download button needs nothing and stays.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.config import Config

LAUNCH = {
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
    "notebook_interface": "jupyterlab",
}
REPOSITORY = ("use_repository_button", "use_issues_button", "use_edit_page_button")


def apply_setting(app: Sphinx, config: Config) -> None:
    """Set all the theme's options on buttons from the one address."""
    options = dict(config.html_theme_options)
    published = bool((options.get("repository_url") or "").strip())
    options.update(dict.fromkeys(REPOSITORY, published))
    options["launch_buttons"] = LAUNCH if published else {}
    if not published:
        options.pop("repository_url", None)
    config.html_theme_options = options


# The branch with the chapters as notebooks that install the library themselves; the workflow writes it (`python -m tools.plain`).
STANDALONE = "notebooks"


def point_the_buttons(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Binder opens the chapter in JupyterLab: say so. Colab has nothing installed: give it the notebook that stands alone."""
    branch = context.get("theme_repository_branch") or "main"
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Binder":
                button["text"] = "JupyterLab on Binder"
            if button.get("text") == "Colab":
                button["url"] = button["url"].replace(f"/blob/{branch}/", f"/blob/{STANDALONE}/")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", apply_setting)
    app.connect("html-page-context", point_the_buttons, priority=502)  # the theme adds its buttons at 501
    return {"parallel_read_safe": True, "parallel_write_safe": True}
