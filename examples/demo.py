"""The main job, end to end, in a scratch repository: no Claude, no network, nothing of yours is touched.

A few dozen modules of Python's own standard library become a git repository, with one file among them that is no
Python 3. `license-headers.yml` runs over it: one agent per file, in parallel, each in its own worktree. The broken
file ends in the dead letter queue, everything else is merged.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
PACKAGES = ("email", "json", "logging", "wsgiref", "importlib")
BROKEN = 'def greet(name):\n    print "Hello, %s" % name\n'


def main() -> int:
    """Run the demo; exit code 0 if everything was as it should be."""
    scratch = Path(tempfile.mkdtemp(prefix="prodigy-demo-"))
    repository = scratch / "library"
    environ = {**os.environ, "PRODIGY_HOME": str(scratch / "home"), "PRODIGY_AUTOMATION": "true"}
    make_repository(repository, environ)
    files = len(list(repository.rglob("*.py")))
    say(f"A scratch repository with {files} Python files: {repository}")

    def prodigy(*words: str) -> int:
        say(f"$ prodigy {shlex.join(words)}")
        # -P: the repository has folders called json and email, which must not be imported in place of Python's own.
        command = [sys.executable, "-P", "-m", "prodigy", *words]
        return subprocess.run(command, cwd=repository, env=environ, check=False).returncode

    code = prodigy("run", str(EXAMPLES / "license-headers.yml"), "-y")
    code = code or prodigy("dlq", "list")
    code = code or prodigy("status")
    headers = count_headers(repository)
    merged = headers == files - 1
    clean = not run("git", "status", "--porcelain", cwd=repository, environ=environ)
    branches = run("git", "branch", "--list", "prodigy-*", cwd=repository, environ=environ)
    say("What happened")
    print(f"  {headers} of {files} files were changed by {headers} agents and merged into your branch.")
    print("  1 file is no Python 3: its agent failed, and the item waits in the dead letter queue.")
    print(f"  The checkout is {'clean' if clean else 'NOT clean'}, and no branch or worktree is left behind.")
    say("Where to look")
    command_line = Path(sys.executable).with_name("prodigy")
    home = f"PRODIGY_HOME={scratch}/home"
    for command, why in (
        (f"git -C {repository} log --graph --oneline", "the merged work"),
        (f"cat {repository}/LICENSE-HEADERS.md", "what reduce wrote"),
        (f"{home} {command_line} -p {repository} dlq show latest", "why the item failed"),
        (f"less {scratch}/home/events/library/*/events-*.jsonl", "the journal: every event"),
        (f"find {scratch}/home/logs -name '*.err' -size +0", "whole outputs of the steps"),
        (f"rm -r {scratch}", "forget all of it"),
    ):
        print(f"  {command}\n      {why}")
    return code if merged and clean and not branches else code or 1


def make_repository(folder: Path, environ: dict[str, str]) -> None:
    """Copy modules of the standard library and commit them."""
    library = Path(sysconfig.get_path("stdlib"))
    for package in PACKAGES:
        for file in sorted((library / package).glob("*.py")):
            if file.stat().st_size:
                target = folder / package / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    (folder / "legacy").mkdir()
    (folder / "legacy" / "greeter.py").write_text(BROKEN)
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("-c", "user.name=Demo", "-c", "user.email=demo@localhost", "commit", "--quiet", "-m", "The library"),
    ):
        run("git", *command, cwd=folder, environ=environ)


def count_headers(folder: Path) -> int:
    """How many Python files carry the header."""
    return sum("SPDX-License-Identifier" in file.read_text() for file in folder.rglob("*.py"))


def run(*command: str, cwd: Path, environ: dict[str, str]) -> str:
    """The command's output; it must succeed."""
    return subprocess.run(
        command, cwd=cwd, env=environ, check=True, text=True, stdout=subprocess.PIPE
    ).stdout.strip()


def say(text: str) -> None:
    """A heading, in order with the output of the commands."""
    print(f"\n── {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
