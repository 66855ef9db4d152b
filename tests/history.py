"""What a file has been: for lists that may only shrink."""

import subprocess
from pathlib import Path


def versions(root: Path, name: str) -> list[str]:
    """Every text that a file has had, oldest first, the one in the working tree last."""

    def git(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)

    # Where nothing is committed yet, git log fails and the working tree is the one version.
    commits = git("log", "--topo-order", "--reverse", "--format=%H", "--diff-filter=AM", "--", name).stdout.split()
    return [git("show", f"{commit}:{name}").stdout for commit in commits] + [(root / name).read_text()]
