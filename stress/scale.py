"""200 agents, each editing and committing in a repository of 2,000 files: everything merged, nothing left.

Prints seconds, and the ratio to a floor measured in the same run: the agents' own commands, in as many fixed
worktrees, without Prodigy.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KIND = "stress"
FILES, ITEMS, PARALLEL = 2000, 200, 8
SCRIPT = 'f=$(git ls-files | sed -n "$(($N * 5))p"); sed -i s/line/LINE/ "$f"; git add -A; git commit -qm "edit $N"'


def main() -> int:
    """0 if 200 commits are merged and nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="prodigy-scale-") as folder:
        scratch = Path(folder)
        environ = {**os.environ, "PRODIGY_HOME": str(scratch / "home"), "HOME": str(scratch)}
        repository = make_repository(scratch / "project", environ)
        floor = measure_floor(scratch, repository, environ)
        before = digest(repository)
        began = time.monotonic()
        run = prodigy("run", str(flow(scratch)), "--no-merge", "--json", cwd=repository, environ=environ)
        took = time.monotonic() - began
        report = json.loads(run.stdout)
        untouched = digest(repository) == before
        merged = prodigy("worktree", "merge", "latest", "-y", cwd=repository, environ=environ)
        checks = {
            "run ended with 0": run.returncode == 0,
            f"{ITEMS} items done": report["items"]["done"] == ITEMS,
            "checkout byte-identical until the merge": untouched,
            "merged": merged.returncode == 0,
            f"{ITEMS} commits by agents on main": commits(repository, environ) == ITEMS,
            "fsck clean": git("fsck", "--strict", cwd=repository, environ=environ) == "",
            "status clean": git("status", "--porcelain", cwd=repository, environ=environ) == "",
            "no branch left": git("branch", "--list", "prodigy-*", cwd=repository, environ=environ) == "",
            "no worktree left": git("worktree", "list", cwd=repository, environ=environ).count("\n") == 0,
            "no process left": not leftovers(str(scratch)),
        }
        for name, ok in checks.items():
            print(f"   {'ok  ' if ok else 'FAIL'} {name}")
        print(
            f"   {took:.1f} s, {1000 * took / ITEMS:.0f} ms per item; "
            f"floor {floor:.1f} s; {took / floor:.2f} times the floor"
        )
        return 0 if all(checks.values()) else 1


def make_repository(folder: Path, environ: dict[str, str]) -> Path:
    """2,000 small text files in 40 folders, committed."""
    for number in range(FILES):
        file = folder / f"d{number % 40}" / f"f{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"line {number}\n" * 20)
    git("init", "--quiet", "--initial-branch=main", cwd=folder, environ=environ)
    git("config", "user.name", "Scale", cwd=folder, environ=environ)
    git("config", "user.email", "scale@localhost", cwd=folder, environ=environ)
    git("add", "--all", cwd=folder, environ=environ)
    git("commit", "--quiet", "-m", "first", cwd=folder, environ=environ)
    return folder


def flow(scratch: Path) -> Path:
    """The workflow: one agent per number."""
    file = scratch / "scale.yml"
    file.write_text(
        json.dumps(
            {
                "mode": "mapreduce",
                "map": {
                    "input": {"list": list(range(1, ITEMS + 1))},
                    "max_parallel": PARALLEL,
                    "agent_template": [{"shell": f"N=${{item}}; {SCRIPT}", "commit_required": True}],
                },
            }
        )
    )
    return file


def measure_floor(scratch: Path, repository: Path, environ: dict[str, str]) -> float:
    """Seconds for the commands alone, in fixed worktrees of a copy."""
    copy = scratch / "floor"
    git("clone", "--quiet", str(repository), str(copy), cwd=scratch, environ=environ)
    git("config", "user.name", "Scale", cwd=copy, environ=environ)
    git("config", "user.email", "scale@localhost", cwd=copy, environ=environ)
    trees = [scratch / f"tree{number}" for number in range(PARALLEL)]
    for tree in trees:
        git("worktree", "add", "--quiet", "--detach", str(tree), cwd=copy, environ=environ)

    def work(number: int) -> None:
        for item in range(number + 1, ITEMS + 1, PARALLEL):
            subprocess.run(
                ["sh", "-c", SCRIPT], cwd=trees[number], env={**environ, "N": str(item)}, check=True
            )

    began = time.monotonic()
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(work, range(PARALLEL)))
    return time.monotonic() - began


def prodigy(*words: str, cwd: Path, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """The real command."""
    command = [sys.executable, "-P", "-m", "prodigy", *words]
    return subprocess.run(command, cwd=cwd, env=environ, check=False, text=True, capture_output=True)


def git(*words: str, cwd: Path, environ: dict[str, str]) -> str:
    """What git says; it must succeed."""
    done = subprocess.run(["git", *words], cwd=cwd, env=environ, check=True, text=True, capture_output=True)
    return done.stdout.strip()


def commits(repository: Path, environ: dict[str, str]) -> int:
    """How many of the agents' commits are on the branch."""
    subjects = git("log", "--no-merges", "--format=%s", "main", cwd=repository, environ=environ)
    return len({subject for subject in subjects.splitlines() if subject.startswith("edit ")})


def digest(repository: Path) -> str:
    """All files of the checkout and git's index, with mode and mtime."""
    total = hashlib.sha256()
    for path in sorted(repository.rglob("*")):
        relative = path.relative_to(repository)
        if path.is_file() and (relative.parts[0] != ".git" or relative == Path(".git/index")):
            stat = path.stat()
            total.update(f"{relative} {stat.st_mode} {stat.st_mtime_ns}\n".encode() + path.read_bytes())
    return total.hexdigest()


def leftovers(word: str) -> list[int]:
    """Processes whose command line, environment or folder is about the scratch folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                about = (entry / "cmdline").read_bytes() + str((entry / "cwd").readlink()).encode()
            except OSError:
                continue
            if word.encode() in about:
                found.append(int(entry.name))
    return found
