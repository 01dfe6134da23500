"""The program as a process: what it imports, how it ends when its reader does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("cyclopts", "rich", "trio", "pygit2", "yaml", "msgspec", "psutil", "subprocess", "dataclasses")


def prodigy(home: Path, *words: str, before: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the program on ``words``, then list on stderr which of the slow modules it loaded."""
    program = (
        f"{before}\nimport sys\nfrom prodigy.cli.main import main\ncode = main({list(words)!r})\n"
        f"print('loaded:', *(name for name in {SLOW!r} if name in sys.modules), file=sys.stderr)\nsys.exit(code)\n"
    )
    environ = {"PATH": os.environ["PATH"], "PRODIGY_HOME": str(home), "HOME": str(home), "LANG": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=home, capture_output=True, text=True, check=False
    )


def test_the_version_loads_nothing_slow(tmp_path: Path) -> None:
    said = prodigy(tmp_path, "--version")
    assert (said.returncode, said.stderr) == (0, "loaded:\n")
    assert said.stdout.startswith("prodigy 0.1.0 (python 3.")


def test_the_version_without_git(tmp_path: Path) -> None:
    said = prodigy(tmp_path, "--version", before="import os; os.environ['PATH'] = '/nonexistent'")
    assert said.returncode == 0
    assert said.stdout.endswith("git not found)\n")


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--all-repos"),
        ("sessions", "ls", "--all-repos"),
        ("dlq", "list", "--all-repos"),
        ("events", "--all-repos", "--json"),
    ],
)
def test_reading_verbs_load_no_event_loop_no_git_library_and_no_rich(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = prodigy(tmp_path, *words)
    assert said.returncode == 0
    loaded = set(said.stderr.split()) - {"loaded:"}
    assert loaded <= {"cyclopts", "msgspec", "dataclasses"}


@pytest.mark.parametrize("words", [("status",), ("sessions", "ls"), ("events",), ("dlq", "list")])
def test_lists_load_nothing_of_the_language_but_its_model(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Templates and expressions are for those who run something; checksums and new files are for those who write."""
    program = f"import sys; from prodigy.cli.main import main; main([*{words!r}, '--all-repos']); print(*sys.modules)"
    environ = {"PATH": os.environ["PATH"], "PRODIGY_HOME": str(tmp_path), "HOME": str(tmp_path)}
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    names = {name for name in loaded.stdout.split() if name.startswith("prodigy.workflow.")}
    assert names.isdisjoint({"prodigy.workflow.template", "prodigy.workflow.expression_parser"})
    if words == ("status",):
        assert set(loaded.stdout.split()).isdisjoint({"_hashlib", "ctypes", "tempfile"})


def test_what_is_imported_is_not_searched_for_garbage(tmp_path: Path) -> None:
    searches = "sum(generation['collections'] for generation in gc.get_stats())"
    program = (
        f"import gc; before = {searches}; from prodigy.cli.main import main; "
        f"main(['status', '--all-repos']); print({searches} - before)"
    )
    environ = {"PATH": os.environ["PATH"], "PRODIGY_HOME": str(tmp_path), "HOME": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert int(said.stdout.split()[-1]) < 20


def test_python_dash_m_is_the_program(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "prodigy", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert said.stdout.startswith("prodigy 0.1.0")


@pytest.mark.parametrize("words", [("status", "--all-repos"), ("--help",), ("nonsense", "--json")])
def test_a_reader_that_went_away_is_no_failure_of_ours(tmp_path: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        [sys.executable, "-m", "prodigy", *words],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PRODIGY_HOME": str(tmp_path)},
        text=True,
        check=False,
    )
    os.close(writing)
    assert said.stderr == ""
    assert said.returncode == (2 if "nonsense" in words else 0)


def test_a_full_disk_behind_stdout_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "prodigy", "status", "--all-repos"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PRODIGY_HOME": str(tmp_path)},
            text=True,
            check=False,
        )
    assert said.returncode == 1
    assert said.stderr == "error: storage-full\n  cannot write to stdout: No space left on device\n"


def test_what_a_stream_cannot_encode_is_escaped(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "prodigy", "zürich漢"],
        capture_output=True,
        env={**os.environ, "PRODIGY_HOME": str(tmp_path), "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        check=False,
    )
    assert said.returncode == 2
    assert b"z\xfcrich\\u6f22" in said.stderr
