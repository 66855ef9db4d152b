"""Read by `make lab` and on Binder: chapters are served in a form that JupyterLab shows well (`tools/plain/server.py`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

c = get_config()

c.ServerApp.contents_manager_class = "tools.plain.server.ChapterManager"
c.LabApp.custom_css = True
