"""The script that finds or installs the browser: it says a path, or what to do, and nothing in between."""

import pytest

from tools import chromium


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without any browser; programs can be put on its PATH."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "_playwrights_own", lambda: None)

    def program(name):
        path = tmp_path / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return path

    return program


def test_a_browser_on_the_path_is_found(bare):
    assert chromium.find() is None
    later = bare("google-chrome")
    assert chromium.find() == later
    assert bare("chromium") == chromium.find()


def test_the_variable_comes_first_and_must_be_right(bare, monkeypatch, tmp_path):
    bare("chromium")
    mine = bare("my-browser")
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert chromium.find() == mine
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "gone"))
    with pytest.raises(
        chromium.ChromiumMissingError, match=r"CHROMIUM must name a browser that can be run, got '.*gone'"
    ):
        chromium.find()


def test_the_next_way_is_tried_when_one_fails(bare, monkeypatch):
    tried = []

    def succeeds(command):
        tried.append(command)
        if command == ["second"]:
            bare("chromium")
        return command != ["first"]

    monkeypatch.setattr(chromium, "_ways", lambda: [[["first"], ["never"]], [["second"]]])
    monkeypatch.setattr(chromium, "_succeeds", succeeds)
    assert chromium.install().name == "chromium"
    assert tried == [["first"], ["second"]]


def test_without_any_way_the_message_says_what_to_do(bare, monkeypatch, capsys):
    monkeypatch.setattr(chromium, "_ways", lambda: [[["first"]]])
    monkeypatch.setattr(chromium, "_succeeds", lambda command: False)
    assert chromium.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    for remedy in ("apt-get install chromium", "playwright install chromium", "CHROMIUM=/path/to/chrome"):
        assert remedy in said.err


def test_only_root_is_offered_apt(bare, monkeypatch):
    bare("apt-get")
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 0)
    assert chromium._ways()[0][-1][-1] == "chromium"
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 1000)
    assert [way[0][1:3] for way in chromium._ways()] == [["-m", "playwright"]]
