"""A user's world in a scratch folder: a repository, an empty home, and the real `prodigy` command."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 240.0
"""Seconds after which what should have come counts as never to come: far beyond what a loaded machine needs."""


@dataclass
class World:
    """One repository and one home."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=self.repository,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
            errors="surrogateescape",
        ).stdout.strip()

    def write(self, name: str, text: str) -> Path:
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, message: str = "change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def workflow(self, text: str, name: str = "workflow.yml") -> str:
        """A workflow file beside the repository, so that the checkout stays clean."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "prodigy", *words]

    def prodigy(
        self, *words: str, stdin: str = "", timeout: float = PATIENCE
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            cwd=self.repository,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """The command in the background, in a session of its own."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.repository,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def json(self, *words: str) -> Any:
        done = self.prodigy(*words, "--json")
        assert done.stdout, f"exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def journals(self) -> list[Path]:
        """Their segments, oldest first: by the millisecond in their names."""
        return sorted(self.home.glob("events/*/*/events-*.jsonl"), key=lambda path: path.name)

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events of the newest journal; a line that is being written is not there yet."""
        *_, newest = self.journals()
        whole, _, _ = newest.read_bytes().rpartition(b"\n")
        found = [json.loads(line)["event"] for line in whole.splitlines()]
        return [event for event in found if kind in {None, event["event_type"]}]

    def checkout_digest(self) -> dict[str, str]:
        """Every file of the checkout and git's index, by content, mode and mtime."""
        digest = {}
        for path in sorted(self.repository.rglob("*")):
            relative = path.relative_to(self.repository)
            if path.is_file() and (relative.parts[0] != ".git" or relative == Path(".git/index")):
                stat = path.stat()
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest[str(relative)] = f"{content} {stat.st_mode} {stat.st_mtime_ns}"
        return digest

    def at_rest(self) -> None:
        """Wait until nothing that a run started is left: who outlives its killed program for a moment still acts."""
        eventually(lambda: not told_of(self.folder))

    @property
    def temporary(self) -> Path:
        """Where programs put what they need for a moment."""
        return self.folder / "temporary"

    def leftovers(self) -> list[str]:
        """Branches, registered worktrees and folders that a run left behind, and what was for a moment only."""
        branches = self.git("branch", "--list", "prodigy-*", "--format=%(refname:short)").split()
        worktrees = self.git("worktree", "list", "--porcelain").count("worktree ") - 1
        folders = [str(path) for path in self.home.glob("worktrees/*/*") if path.name != ".metadata"]
        repository = Path(self.git("rev-parse", "--path-format=absolute", "--git-common-dir"))
        passing = [str(path) for path in (*repository.glob("prodigy-*"), *self.temporary.iterdir())]
        return branches + ["worktree"] * worktrees + folders + passing


def made_world(folder: Path) -> World:
    """A repository with one commit on `main`, and a home with no git identity."""
    user = folder / "user"
    user.mkdir()
    (folder / "temporary").mkdir()
    kept = {"PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "COVERAGE_PROCESS_START"}
    environ = {name: value for name, value in os.environ.items() if name in kept}
    environ |= {
        "HOME": str(user),
        "TMPDIR": str(folder / "temporary"),
        "PRODIGY_HOME": str(folder / "home"),
        "PRODIGY__HOST__MIN_FREE_DISK": "0",  # tests run on machines that have little, and fill small disks
        "PRODIGY__HOST__MIN_FREE_MEMORY": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@localhost",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@localhost",
    }
    made = World(folder, environ)
    made.repository.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.write("README.md", "# Project\n")
    made.commit("first")
    for name in [name for name in environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        del environ[name]
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@localhost")
    return made


def pids_with(tag: str) -> list[int]:
    """Processes, zombies aside, whose command line holds `tag`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if tag.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def told_of(folder: Path) -> list[int]:
    """Processes, zombies aside, whose environment names the folder: all that a run in it ever started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = str(folder).encode() in (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if told and state != "Z":
                found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait for a condition; the limit is a failure, not a measurement.

    Looking is work as well: it is looked less often the longer it takes.
    """
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < seconds, "it never happened"
        time.sleep(min(0.1, 0.02 + waited / 10))
