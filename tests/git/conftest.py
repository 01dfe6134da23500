"""Real git in scratch repositories, out of reach of the configuration of whoever runs the tests."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from prodigy.git.cli import Git
from prodigy.git.forge import Forge, open_forge
from prodigy.git.local import TrioRunner
from prodigy.git.repository import discover

HOSTILE_NAMES = (
    "with space",
    'double"quote',
    "single'quote",
    "new\nline",
    "tab\there",
    "-leading-dash",
    "--",
    "ünïcode-☃",
    "back\\slash",
    "star*[a]?",
    "#hash",
    "!bang",
    "trailing ",
    ":(top)magic",
)


class Scratch:
    """One repository or worktree, driven synchronously from outside, as a user or an agent would."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        self.path = path
        self.env = env

    def __call__(self, *argv: str, stdin: bytes = b"", ok: bool = True) -> str:
        done = subprocess.run(
            ["git", *argv], cwd=self.path, env=self.env, input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0 or not ok, (argv, done.stderr)
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, name: str, content: str | bytes = "content\n") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def commit(self, message: str = "work", **files: str) -> str:
        """Write ``files``, commit everything there is and return the commit."""
        for name, content in files.items():
            self.write(name, content)
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--no-verify", "--message", message)
        return self.head

    def commit_file(self, name: str, content: str, message: str = "work") -> str:
        self.write(name, content)
        return self.commit(message)

    @property
    def head(self) -> str:
        return self("rev-parse", "HEAD")

    def hook(self, name: str, script: str) -> None:
        file = self.write(f".git/hooks/{name}", f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def git(self) -> Git:
        return Git(TrioRunner(), str(self.path), self.env)

    async def forge(self, git: Git | None = None) -> Forge:
        """What merges in it are made with; the lock and the bench lie beside it."""
        git = git or self.git()
        found = await discover(self.git(), str(self.path))
        return await open_forge(found, git, self.path.parent / "git.lock", self.path.parent / "bench")

    def other(self, path: str | Path) -> "Scratch":
        return Scratch(Path(path), self.env)

    def fingerprint(self) -> dict[str, tuple[bytes, int]]:
        """Every file of the checkout and everything of git's that is the user's own, with modification times.

        Objects, refs and the registrations of worktrees are left out.
        """
        shared = (".git/objects", ".git/worktrees", ".git/refs", ".git/logs/refs", ".git/packed-refs")
        found = {}
        for file in sorted(self.path.rglob("*")):
            name = str(file.relative_to(self.path))
            if file.is_file() and not name.startswith(shared):
                found[name] = (file.read_bytes(), file.stat().st_mtime_ns)
        return found


def user(home: Path) -> dict[str, str]:
    """The environment of a user with a name and no other configuration, whose home is made."""
    home.mkdir()
    (home / "gitconfig").write_text(
        "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n"
    )
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return user(tmp_path / "home")


@pytest.fixture
def nameless() -> dict[str, str]:
    """An empty HOME: nobody has configured anything."""
    return {"PATH": os.environ["PATH"], "HOME": "", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def configure(env: dict[str, str]) -> Callable[..., None]:
    """Set ``key=value`` in the user's configuration."""

    def set_(*settings: str) -> None:
        for setting in settings:
            key, _, value = setting.partition("=")
            subprocess.run(
                ["git", "config", "--file", env["GIT_CONFIG_GLOBAL"], key, value], env=env, check=True
            )

    return set_


@pytest.fixture(scope="session")
def three_commits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository to be copied: many processes of git make one."""
    folder = tmp_path_factory.mktemp("three-commits")
    scratch = Scratch(folder / "repo", user(folder / "home"))
    scratch.path.mkdir()
    scratch("init", "--quiet")
    scratch.commit("one", a="1\n", b="b\n")
    scratch.commit("two", a="2\n")
    scratch.commit_file("deep/er/c", "c\n", "three")
    return scratch.path


@pytest.fixture
def repo(tmp_path: Path, env: dict[str, str], three_commits: Path) -> Scratch:
    """A repository with three commits on ``main``."""
    scratch = Scratch(tmp_path / "repo", env)
    shutil.copytree(three_commits, scratch.path)
    scratch("update-index", "-q", "--refresh")  # its files are others by inode and time of change
    return scratch


@pytest.fixture(params=HOSTILE_NAMES, ids=ascii)
def hostile(request: pytest.FixtureRequest) -> str:
    """A file name that is legal and that somebody will use."""
    return str(request.param)
