"""Wrong messages, jobs and settings are type errors for users, and right ones are not: in exactly the marked lines."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = [HERE / "actors.py", HERE / "processes.py"]
MARK = re.compile(r"# error: (.+)$")


class Objection(NamedTuple):
    """What a checker says, or is to say: where, and by which rule."""

    file: str
    line: int
    rule: str


def marked(*, pyright: bool) -> Iterator[Objection]:
    """What the marks say."""
    for file in CASES:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if (mark := MARK.search(line)) is not None:
                rules = [rule for rule in mark[1].split() if rule.startswith("report") is pyright]
                yield from (Objection(file.name, number, rule) for rule in rules)


def compare(found: set[Objection], expected: set[Objection]) -> None:
    """Say what is missing and what is too much, in the form of the marks."""
    differences = [("not found", expected - found), ("not marked", found - expected)]
    told = [
        f"{word}: {file}:{line} {rule}" for word, those in differences for file, line, rule in sorted(those)
    ]
    assert not told, "\n".join(told)
    assert expected, "nothing is marked"


def run_pyright(*arguments: str) -> dict[str, list[dict[str, object]]]:
    """Its report; the test is skipped where it is not installed."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed: pip install 'pyright[nodejs]'")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, *arguments]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        return dict(json.loads(output.stdout))
    except json.JSONDecodeError:
        pytest.skip(f"pyright cannot run here: {output.stderr[-500:]}")


def test_mypy_objects_to_the_marked_lines_only(tmp_path: Path) -> None:
    arguments = ["--strict", "--no-error-summary", "--cache-dir", str(tmp_path)]
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    command = [
        sys.executable,
        "-m",
        "mypy",
        *arguments,
        *config,
        *map(str, CASES),
    ]  # it changes its process's settings
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.stderr == ""
    output = said.stdout
    found = {
        Objection(Path(match[1]).name, int(match[2]), match[3])
        for match in re.finditer(r"^(.+?):(\d+): error: .+\[([a-z-]+)\]$", output, re.MULTILINE)
    }
    compare(found, set(marked(pyright=False)))


def test_pyright_objects_to_the_marked_lines_only() -> None:
    found = {
        Objection(Path(str(each["file"])).name, line_of(each), str(each["rule"]))
        for each in run_pyright("--project", str(HERE))["generalDiagnostics"]
        if Path(str(each["file"])) in CASES
    }
    compare(found, set(marked(pyright=True)))


def line_of(diagnostic: dict[str, object]) -> int:
    """Counted from 1."""
    place = diagnostic["range"]
    assert isinstance(place, dict)
    return int(place["start"]["line"]) + 1


def test_the_library_is_clean_for_pyright() -> None:
    """In strict mode, as the project's settings say."""
    report = run_pyright()
    assert [
        f"{each['file']}:{line_of(each)} {each['message']}" for each in report["generalDiagnostics"]
    ] == []
