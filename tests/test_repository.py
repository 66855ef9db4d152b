"""The repository itself: what is tracked, and what it may not contain."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def tracked(*patterns):
    listing = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if re.match(r"[\w.-]+==", line))


def test_lib_is_tracked():
    # A stock Python .gitignore swallows a folder of this name.
    assert len(tracked("lib/*.py")) > 10


def test_every_requirement_is_pinned_as_the_constraints_record_it():
    recorded = {name.lower().replace("_", "-"): version for name, version in pins("constraints.txt").items()}
    for name, version in pins("requirements.txt").items():
        assert recorded[name.lower().replace("_", "-")] == version, name
    assert (ROOT / "requirements.txt").read_text().rstrip().endswith("-e .[book,test,bench]")


def test_pins_meet_the_floors_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = [line for group in [project["dependencies"], *project["optional-dependencies"].values()] for line in group]
    pinned = {name.lower(): version for name, version in pins("requirements.txt").items()}
    for floor in floors:
        name, lowest = re.match(r"([\w-]+)>=([\d.]+)", floor).groups()
        assert [int(part) for part in pinned[name].split(".")[:3] if part.isdigit()] >= [
            int(part) for part in lowest.split(".")
        ], floor


@pytest.mark.parametrize(
    "path", tracked("*.py", "*.md", "*.ipynb", "*.yml", "*.toml", "Makefile"), ids=lambda path: path.name
)
def test_no_path_of_one_machine_stands_in_a_tracked_file(path):
    # Assembled here, so that this file does not find itself.
    forbidden = ["/" + "work/", "/" + "root/", "/home/" + "user", "/opt/" + "pypi"]
    text = path.read_text(encoding="utf-8")
    assert [word for word in forbidden if word in text] == []
