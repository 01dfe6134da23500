"""The page about supervision and its examples: every program in them runs and prints what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "supervision.md"
EXAMPLES = ROOT / "examples" / "supervision"
FENCE = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


class Program(NamedTuple):
    """The Python of one section; blocks that begin with a file's name are modules beside it.

    Attributes:
        title: of the section.
        code: its blocks, one after the other.
        modules: content by file name.
        output: its text blocks, one after the other.
    """

    title: str
    code: str
    modules: dict[str, str]
    output: str


def programs() -> list[Program]:
    sections = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    found = [program(title, text) for title, text in zip(sections[1::2], sections[2::2], strict=True)]
    return [each for each in found if each.code]


def program(title: str, text: str) -> Program:
    blocks = FENCE.findall(text)
    code, modules = "", {}
    for language, content in blocks:
        if language == "python" and (name := FILE.match(content)):
            modules[name[1]] = content
        elif language == "python":
            code += content + "\n"
    return Program(
        title, code, modules, "".join(content for language, content in blocks if language == "text")
    )


def run(file: Path, folder: Path) -> str:
    """What a program prints; it must end well and say nothing else."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.title)
def test_the_page_prints_what_it_says(program: Program, tmp_path: Path) -> None:
    assert program.output, "a program without output shows nothing"
    for name, content in {"main.py": program.code, **program.modules}.items():
        (tmp_path / name).write_text(content)
    assert run(tmp_path / "main.py", tmp_path) == program.output


def test_no_block_is_left_out() -> None:
    """All Python stands in a section, and every fence is one that is understood."""
    text = PAGE.read_text()
    assert "```python" not in text.partition("\n## ")[0]
    assert set(re.findall(r"^```(.+)$", text, re.MULTILINE)) == {"python", "text"}
    assert text.count("```python\n") == sum(language == "python" for language, _ in FENCE.findall(text))
    assert len(programs()) > 10


OUTPUTS = {
    "counter.py": "total: 42\n",
    "healing.py": """\
  + database
  + cache
  + web
  - cache (ZeroDivisionError: as told)
  - web (Stopped())
  + cache
  + web
  > the web is here
  - cache (ZeroDivisionError: as told)
  ! root gives up on cache
  - web (Stopped())
  - database (Stopped())
the block was left: supervisor 'root' gave up on child 'cache': more than 1 restarts within 60 s; \
the cause: ZeroDivisionError('as told')
""",
    "pool.py": """\
  worker 1, square of 6: may I?
  worker 1 lost: killed by SIGKILL; once more
  worker 2, square of 6: may I?
  result: 36
  ValueError: only what is not negative
""",
    "trees.py": """\
running: alive, alive in 2 sessions
stopped: SIGKILL and 2 left over
after: gone, gone
and when the block is left early, by an error or a cancellation:
after: gone, gone
""",
}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_examples(name: str, tmp_path: Path) -> None:
    """They are short, say what to look at, need nothing but the library, and do what they say."""
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) < 80
    assert "\nLook at: " in text
    assert f"python examples/supervision/{name}" in text
    assert "prodigy" not in text
    assert run(EXAMPLES / name, tmp_path) == OUTPUTS[name]
