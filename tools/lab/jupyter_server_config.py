"""Read by `make lab` alone: chapters are served in a form that JupyterLab shows well (`tools/plain/server.py`)."""

c = get_config()

c.ServerApp.contents_manager_class = "tools.plain.server.ChapterManager"
