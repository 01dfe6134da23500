"""Many small items in one repository: what each of them does, and where.

An item rewrites the first line of a file of its own and commits it; no two items touch the same file.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = (
    'f=$(git ls-files | sed -n "$(($N * $STRIDE))p"); '
    'sed -i "1s/line/item $N/" "$f"; git add -A; git commit -qm "edit $N"'
)
FOLDERS = 40


class Ground:
    """A scratch folder with a repository, and the environment to work in.

    Attributes:
        scratch: everything lies below it.
        repository: with all files committed on ``main``.
        environ: for every process; its home is the scratch folder.
        bytecode: where Python keeps what it has compiled, so that a second run finds it, as that of an installed
            program does.
    """

    def __init__(self, scratch: Path, files: int, bytecode: Path | None = None) -> None:
        self.scratch = scratch
        self.files = files
        self.repository = scratch / "project"
        self.bytecode = bytecode or scratch / "bytecode"
        around = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environ = {
            **around,
            "PRODIGY_HOME": str(scratch / "home"),
            "HOME": str(scratch),
            "PYTHONPYCACHEPREFIX": str(self.bytecode),
        }

    def make(self) -> None:
        """Small text files in 40 folders, committed."""
        for number in range(self.files):
            file = self.repository / f"d{number % FOLDERS}" / f"f{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"line {number}\n" * 20)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Scale")
        self.git("config", "user.email", "scale@localhost")
        self.git("add", "--all")
        self.git("-c", "gc.auto=0", "commit", "--quiet", "-m", "first")
        self.git("gc", "--quiet")

    def copy(self, name: str) -> "Ground":
        """Another folder with a clone, and a home of its own."""
        other = Ground(self.scratch / name, self.files, self.bytecode)
        other.scratch.mkdir()
        self.git("clone", "--quiet", str(self.repository), str(other.repository))
        other.git("config", "user.name", "Scale")
        other.git("config", "user.email", "scale@localhost")
        return other

    def script(self, items: int) -> str:
        """What an item does: its number, from 1, is in ``N``."""
        return f"STRIDE={max(1, self.files // items)}; {SCRIPT}"

    def flow(self, items: int, parallel: int) -> Path:
        """A workflow with one agent per item."""
        template = [{"shell": f"N=${{item}}; {self.script(items)}", "commit_required": True}]
        phase = {
            "input": {"list": list(range(1, items + 1))},
            "max_parallel": parallel,
            "agent_template": template,
        }
        file = self.scratch / "items.yml"
        file.write_text(json.dumps({"mode": "mapreduce", "map": phase}))
        return file

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """What git says; it must succeed."""
        where = cwd or self.repository
        done = subprocess.run(
            ["git", *words], cwd=where, env=self.environ, check=True, text=True, capture_output=True
        )
        return done.stdout.strip()

    def prodigy(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The real command, in the repository."""
        command = [sys.executable, "-P", "-m", "prodigy", *words]
        return subprocess.run(
            command, cwd=self.repository, env=self.environ, check=False, text=True, capture_output=True
        )
