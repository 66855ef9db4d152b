"""The repository itself: what is tracked, and what it may not contain."""

import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tools import set_up

ROOT = Path(__file__).parent.parent


def files(*patterns):
    """The repository's files: those that git tracks or would track; without git, as in an unpacked ZIP, all but what is made here."""
    listing = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    try:
        told = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        made = re.compile(r"(^|/)(\.[^/]+|_build|__pycache__|[^/]+\.egg-info)(/|$)")
        names = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob("*")) if path.is_file()]
        names = [name for name in names if not made.search(name)]
    else:
        names = [name for name in told.split("\0") if name]
    return [
        ROOT / name for name in names if any(fnmatch(name, pattern) for pattern in patterns) and (ROOT / name).exists()
    ]


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if re.match(r"[\w.-]+==", line))


def test_lib_is_not_ignored():
    # A stock Python .gitignore swallows a folder of this name.
    assert len(files("lib/*.py")) > 10


def made(*arguments):
    """What `make` would do, without its set-up and without doing it."""
    call = ["make", "-C", ROOT, "-n", "-o", ".venv/.ready", *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["execute", "checkpoints", "robust", "chapter", "edit", "new"])
def test_a_chapter_may_be_named_either_way(target):
    # Misread, `make execute CHAPTER=…` would run them all.
    named = made(target, "CHAPTER=chapters/code/x.ipynb")
    assert "chapters/code/x.ipynb" in named
    assert named == made(target, "NOTEBOOK=chapters/code/x.ipynb")


PACKAGES = sorted(path.parent.name for path in (ROOT / "lib").glob("*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_of_lib_stands_in_every_place(package):
    # Its floor is asked for by lint-imports: the contract of the floors is exhaustive.
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [cannot_draw] = [
        contract["source_modules"] for contract in contracts if contract["name"] == "Only lib.figures draws"
    ]
    api = ROOT / "reference" / "api"
    page, table, toc = (
        path.read_text() if path.is_file() else ""
        for path in (api / f"{package}.md", api / "index.md", ROOT / "_toc.yml")
    )
    places = {
        "source_modules of `Only lib.figures draws` in pyproject.toml": package == "figures"
        or f"lib.{package}" in cannot_draw,
        f"reference/api/{package}.md, with the directive api-package": f"{{api-package}} lib.{package}\n" in page,
        "_toc.yml": f"- file: reference/api/{package}\n" in toc,
        "the table of reference/api/index.md": f"]({package}.md)" in table,
        f"tests/{package}": any((ROOT / "tests" / package).rglob("test_*.py")),
    }
    missing = [place for place, there in places.items() if not there]
    assert not missing, f"lib.{package} is missing in {'; '.join(missing)}"


def test_without_git_the_same_files_are_found(monkeypatch):
    with_git = files("*.py", "*.ipynb")
    monkeypatch.setenv("PATH", "")
    assert sorted(files("*.py", "*.ipynb")) == sorted(with_git)


def test_every_requirement_is_pinned_as_the_constraints_record_it():
    recorded = {name.lower().replace("_", "-"): version for name, version in pins("constraints.txt").items()}
    for name, version in pins("requirements.txt").items():
        assert recorded[name.lower().replace("_", "-")] == version, name
    assert (ROOT / "requirements.txt").read_text().rstrip().endswith("-e .[book,test,bench]")


BELOW_3_12 = {"overrides"}  # what jupyter-server has itself from Python 3.12 on


def test_every_pin_installs_on_the_oldest_python_that_is_promised():
    """Debian 12 brings Python 3.11.2, and a pin that wants 3.11.5 stops the set-up there."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    oldest = asked.removeprefix(">=") + ".0"
    here = pins("constraints.txt").keys() - (BELOW_3_12 if sys.version_info >= (3, 12) else set())
    wanted = {name: metadata(name).get("Requires-Python") or "" for name in here}
    assert {name: rule for name, rule in wanted.items() if oldest not in SpecifierSet(rule)} == {}


def test_pins_meet_the_floors_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = [line for group in [project["dependencies"], *project["optional-dependencies"].values()] for line in group]
    pinned = {name.lower(): version for name, version in pins("requirements.txt").items()}
    for floor in floors:
        name, lowest = re.match(r"([\w-]+)>=([\d.]+)", floor).groups()
        assert [int(part) for part in pinned[name].split(".")[:3] if part.isdigit()] >= [
            int(part) for part in lowest.split(".")
        ], floor


def test_no_path_of_one_machine_stands_in_a_file():
    # Assembled here, so that this file does not find itself.
    forbidden = ["/" + "work/", "/" + "root/", "/home/" + "user", "/opt/" + "pypi"]
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in files("*.py", "*.md", "*.ipynb", "*.yml", "*.toml", "Makefile")
    }
    assert len(texts) > 100
    assert [(str(path), word) for path, text in texts.items() for word in forbidden if word in text] == []


def test_the_workflow_runs_the_two_commands_on_three_kinds_of_machine_and_two_pythons():
    jobs = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())["jobs"]
    assert {"make test", "make book"} <= {step.get("run") for step in jobs["test"]["steps"]}
    matrix = jobs["test"]["strategy"]["matrix"]["include"]
    assert {entry["machine"] for entry in matrix} == {"ubuntu-latest", "ubuntu-24.04-arm", "macos-latest"}
    assert len({entry["python"] for entry in matrix}) >= 2
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}


def test_on_main_every_chapter_runs():
    since = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())["env"]["SINCE"]
    assert since == "${{ github.event_name == 'pull_request' && format('origin/{0}', github.base_ref) || '' }}"


def test_binder_gets_a_python_that_the_pins_have_and_every_package():
    script = ROOT / "binder/postBuild"
    assert os.access(script, os.X_OK)
    for name in ("requirements.txt", "requirements-no-deps.txt"):
        assert f"--requirement {name}" in script.read_text()
    python = (ROOT / "binder/runtime.txt").read_text().strip().removeprefix("python-")
    assert set_up.OLDEST <= tuple(map(int, python.split("."))) <= set_up.NEWEST


def test_the_readme_tells_the_sizes_that_the_set_up_asks_for():
    readme = (ROOT / "README.md").read_text()
    for gigabytes in set_up.GIGABYTES.values():
        assert f"{gigabytes} GB" in readme
