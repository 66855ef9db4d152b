"""A stage runs alone, notes its seconds when it succeeds, and tells the chapters' share of them."""

import json
import subprocess
import sys

import pytest

from tools import stage
from tools.notebooks.files import ROOT


def python(program):
    return [sys.executable, "-c", program]


def test_the_status_is_the_commands_and_only_success_is_noted(tmp_path):
    assert stage.run("unit", python("pass"), tmp_path) == 0
    assert set(json.loads((tmp_path / "unit.json").read_text())) == {"seconds", "chapters"}
    assert stage.run("unit", python("raise SystemExit(3)"), tmp_path) == 3
    assert not (tmp_path / "unit.json").exists()


def test_a_second_run_waits_for_the_first_and_says_so(tmp_path):
    program = f"from tools import stage; from pathlib import Path; stage.run('unit', ['true'], Path({str(tmp_path)!r}))"
    with stage.alone("unit", tmp_path):
        second = subprocess.Popen(python(program), stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert second.stdout.readline().startswith("== Another run of `unit` is at work")
        assert second.poll() is None
    with second:
        assert second.wait() == 0


@pytest.mark.parametrize(("held", "waits"), [("book", True), ("site", True), ("unit", False)])
def test_no_page_is_rendered_while_pages_are_judged(tmp_path, held, waits):
    program = f"from tools import stage; from pathlib import Path; stage.run('site', ['true'], Path({str(tmp_path)!r}))"
    with stage.alone(held, tmp_path):
        second = subprocess.Popen(python(program), stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert second.stdout.readline().startswith("== Another run") == waits
    with second:
        assert second.wait() == 0


def test_the_share_of_chapters_is_told_by_the_names_of_tests(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"
    )  # each of its three processes would load torch for jaxtyping
    test = (
        "import pytest, time\n@pytest.mark.parametrize('of', ['chapters/a.ipynb', 'lib'])\ndef test_it(of):\n    pass\n"
    )
    (tmp_path / "test_two.py").write_text(test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "xdist",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        str(tmp_path / "test_two.py"),
    ]
    assert stage.run("unit", command, tmp_path) == 0
    noted = json.loads((tmp_path / "unit.json").read_text())
    assert 0 < noted["chapters"] < noted["seconds"]


def test_a_plugin_of_the_callers_own_stays(monkeypatch):
    monkeypatch.setenv(stage._NOTES, "somewhere")
    monkeypatch.setenv("PYTEST_PLUGINS", "mine,tools.stage")
    registered = []
    config = type("Config", (), {"pluginmanager": type("Manager", (), {"register": registered.append})})
    stage.pytest_configure(config)
    stage.pytest_configure(config)  # as in a pytest within a test
    assert len(registered) == 1
    assert stage.os.environ["PYTEST_PLUGINS"] == "mine"


def test_the_report_tells_what_more_chapters_cost(tmp_path):
    for name, seconds, chapters in (("unit", 80, 10), ("notebooks", 130, 130), ("site", 110, 60)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"seconds": seconds, "chapters": chapters}))
    assert stage.report(10, tmp_path) == (
        "unit 80 s, notebooks 130 s, site 110 s: 5.3 min for 10 chapters\n"
        "Seconds per chapter: 20.0 (unit 1.0, notebooks 13.0, site 6.0); 45 chapters would take 17 min"
    )
    assert stage.report(10, tmp_path / "nothing") == "no stage has been timed yet"
