"""`write_file`: content in its format, typed values, and a path that stays inside."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.runner import FakeRunner

from prodigy.steps.durable import Done, LeafFailed
from prodigy.steps.write_file import write_file
from prodigy.workflow.model import Step, Text, WriteFile

ROOTS = {"n": 2, "tags": ["b", "a"], "who": "Ann", "nothing": None, "deep": {"x": 1.5}}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


async def put(tree: Path, path: str, content: str | None = None, **options: Any) -> Done:
    text = None if content is None else Text(content)
    action = WriteFile(path=Text(path), content=text, **options)
    return await write_file(FakeRunner(tree, roots=ROOTS), Step(action=action), action, "1", 1)


async def refused(tree: Path, path: str, content: str | None = "x", **options: Any) -> str:
    before = sorted(tree.parent.rglob("*"))
    with pytest.raises(LeafFailed) as raised:
        await put(tree, path, content, **options)
    assert sorted(tree.parent.rglob("*")) == before, "a refused file leaves nothing"
    return raised.value.failure.message


async def test_text(tree: Path) -> None:
    """As it stands, references filled in, and the path is the output."""
    done = await put(tree, "for-${who}.txt", "Hi ${who}, $1 and \\${x}")
    assert (tree / "for-Ann.txt").read_text() == "Hi Ann, $1 and ${x}"
    assert (done.stdout.tail, done.value) == ("for-Ann.txt\n", {"path": "for-Ann.txt"})
    assert (tree / "for-Ann.txt").stat().st_mode & 0o777 == 0o644


async def test_json_data_keeps_types(tree: Path) -> None:
    """A text that is one reference is its value; others are texts; keys keep their order."""
    data = {
        "z": "${n}",
        "a": "${tags}",
        "t": "n=${n}",
        "e": "${nothing}",
        "l": [True, "${deep.x}", 3],
        "${n}": "é",
    }
    await put(tree, "r.json", data=data, format="json")
    text = (tree / "r.json").read_text()
    assert json.loads(text) == {
        "z": 2, "a": ["b", "a"], "t": "n=2", "e": None, "l": [True, 1.5, 3], "${n}": "é",
    }  # fmt: skip
    assert text.startswith('{\n  "z": 2,\n  "a": [')
    assert text.endswith("}\n")
    assert "é" in text


async def test_json_text_is_parsed_and_formatted(tree: Path) -> None:
    await put(tree, "r.json", '{"tags":${tags:json},"big":123456789012345678901234567890}', format="json")
    assert (tree / "r.json").read_text() == (
        '{\n  "tags": [\n    "b",\n    "a"\n  ],\n  "big": 123456789012345678901234567890\n}\n'
    )


async def test_yaml(tree: Path) -> None:
    """Data comes back as it was; a text is checked and kept with its comments."""
    data = {"n": "${n}", "tags": "${tags}", "odd": ["yes", "1.10", "null", "a: b", "x\ny"], "none": None}
    await put(tree, "r.yml", data=data, format="yaml")
    text = (tree / "r.yml").read_text()
    assert yaml.safe_load(text) == {**data, "n": 2, "tags": ["b", "a"]}
    assert text.startswith("n: 2\ntags:\n")
    await put(tree, "t.yml", "# kept\nwho: ${who}", format="yaml")
    assert (tree / "t.yml").read_text() == "# kept\nwho: Ann\n"


@pytest.mark.parametrize(
    ("content", "format_", "message"),
    [
        ("{who: ${who}}", "json", "The content is not JSON"),
        ("NaN", "json", "The content is not JSON"),
        ("a: [", "yaml", "The content is not YAML"),
        ("${missing.x}", "text", "`missing.x` is not defined"),
    ],
)
async def test_content_that_does_not_fit(tree: Path, content: str, format_: str, message: str) -> None:
    assert message in await refused(tree, "f", content, format=format_)


@pytest.mark.parametrize(
    "path", ["../out", "/etc/prodigy-test", "a/../../out", "", ".", ".git/config", "link/f", "a\0b"]
)
async def test_paths_that_lead_out(tree: Path, path: str) -> None:
    """Up, absolute, through a link, into `.git`, or no file at all."""
    (tree.parent / "elsewhere").mkdir()
    (tree / "link").symlink_to(tree.parent / "elsewhere")
    assert await refused(tree, path, create_dirs=True)


async def test_a_link_within_is_followed(tree: Path) -> None:
    (tree / "real").mkdir()
    (tree / "link").symlink_to("real")
    await put(tree, "link/f", "x")
    assert (tree / "real" / "f").read_text() == "x"


async def test_folders_are_made_only_if_asked(tree: Path) -> None:
    assert "create_dirs" in await refused(tree, "a/b/f")
    await put(tree, "a/b/f", "x", create_dirs=True)
    assert (tree / "a/b/f").read_text() == "x"


async def test_mode_and_replacement(tree: Path) -> None:
    """What is there is replaced whole, with the mode asked for; nothing else is left beside it."""
    (tree / "run.sh").write_text("old and longer than the new one")
    await put(tree, "run.sh", "#!/bin/sh\n", mode=0o755)
    assert (tree / "run.sh").read_text() == "#!/bin/sh\n"
    assert (tree / "run.sh").stat().st_mode & 0o777 == 0o755
    assert [file.name for file in tree.iterdir()] == ["run.sh"]


async def test_append(tree: Path) -> None:
    """To what is there, which keeps its mode; else a new file."""
    await put(tree, "log", "one\n", append=True, mode=0o600)
    await put(tree, "log", "two\n", append=True)
    assert (tree / "log").read_text() == "one\ntwo\n"
    assert (tree / "log").stat().st_mode & 0o777 == 0o600


async def test_a_folder_in_the_way(tree: Path) -> None:
    (tree / "d").mkdir()
    assert "Could not write `d`" in await refused(tree, "d")


async def test_without_interpolation(tree: Path) -> None:
    action = WriteFile(path=Text("f"), content=Text("${who}"))
    await write_file(FakeRunner(tree, roots=ROOTS), Step(action=action, interpolate=False), action, "1", 1)
    assert (tree / "f").read_text() == "${who}"
