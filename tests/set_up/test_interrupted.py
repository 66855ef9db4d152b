"""The set-up itself, with real environments and a pip that finds two small packages in a folder.

Takes some minutes, so that it is no part of `make test`: `make first-steps` runs it, and a job of the workflow.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOMENTS = 20
FILES = 200  # in each package: enough for an interruption to fall between them


def make_wheel(folder, name):
    folder.mkdir(exist_ok=True)
    files = {f"{name}/__init__.py": "".join(f"from {name} import part{i}\n" for i in range(FILES))}
    files |= {f"{name}/part{i}.py": f"value = {i}\n" * 50 for i in range(FILES)}
    files[f"{name}-1.0.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files[f"{name}-1.0.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = f"{name}-1.0.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    # The description first, the parts afterwards: the order in which an interruption does most harm.
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path in sorted(files, key=lambda path: "dist-info" not in path):
            wheel.writestr(path, files[path])


@pytest.fixture
def house(tmp_path):
    """A small repository with the book's own set-up, in a folder whose name has blanks and an umlaut."""
    root = tmp_path / "a b ü"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/set_up.py", root / "tools")
    for name, package in (("requirements.txt", "first"), ("requirements-no-deps.txt", "second")):
        make_wheel(tmp_path / "wheels", package)
        (root / name).write_text(f"{package}==1.0\n")
    return root


def begin(house, **more):
    source = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(house.parent / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHONPATH"))}
    return subprocess.Popen(
        [sys.executable, "tools/set_up.py", ".venv"],
        cwd=house, env=environment | source | more, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process):
    told, _ = process.communicate()
    return process.returncode, told


def require_whole(house):
    check = "import first.part199, second.part199; first.part7.value + second.part199.value; import pip"
    done = subprocess.run([house / ".venv/bin/python", "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in house.glob(".venv*")} == {".venv", ".venv.lock"}


def test_it_ends_well_where_nobody_disturbs_it(house):
    status, told = finish(begin(house))
    assert status == 0, told
    require_whole(house)
    assert finish(begin(house))[0] == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_the_next_call_recovers_from_a_stop_at_any_moment(house, how):
    started = time.monotonic()
    assert finish(begin(house))[0] == 0
    whole = time.monotonic() - started  # only spaces the moments out: nothing is asserted of it
    stopped = 0
    for moment in range(MOMENTS):
        shutil.rmtree(house / ".venv")
        process = begin(house)
        time.sleep(whole * (moment + 0.5) / MOMENTS)
        if process.poll() is None:
            os.killpg(process.pid, how)
        status, told = finish(process)
        stopped += status != 0
        assert "Traceback" not in told or "set_up.py" not in told, told
        status, told = finish(begin(house))
        assert status == 0, f"after a stop at moment {moment} of {MOMENTS}:\n{told}"
        require_whole(house)
    assert stopped > MOMENTS // 2


def test_two_at_once_take_turns(house):
    first, second = begin(house), begin(house)
    ends = [finish(first), finish(second)]
    assert [status for status, _ in ends] == [0, 0], ends
    require_whole(house)


def test_without_a_source_the_remedy_is_the_network(house):
    status, told = finish(begin(house, PIP_FIND_LINKS=str(house / "nothing")))
    assert status == 1
    assert "The first set-up needs the network" in told
    assert finish(begin(house))[0] == 0
