"""Workflow files as people write them: each loads, or shows exactly the problems that its first line names."""

from pathlib import Path

import pytest

from prodigy.workflow.load import load_workflow
from prodigy.workflow.problems import WorkflowInvalid, render

CORPUS = Path(__file__).parent / "corpus"
EXPECT = "# expect: "
JSON_EXPECTED = {"trailing-comma.json": {"yaml-syntax"}}
"""JSON has no comments to say it in."""

FILES = sorted(file for file in CORPUS.iterdir() if file.suffix in {".json", ".yml"})


def expected(file: Path) -> set[str]:
    first, _, _ = file.read_text(encoding="utf-8").partition("\n")
    if first.startswith(EXPECT):
        return set(first.removeprefix(EXPECT).split())
    return JSON_EXPECTED.get(file.name, set())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_has_exactly_the_problems_that_it_names(file: Path) -> None:
    try:
        loaded = load_workflow(file.read_bytes(), file.name)
        problems, texts = loaded.problems, loaded.texts
    except WorkflowInvalid as invalid:
        problems, texts = invalid.problems, invalid.texts
    found = {problem.code for problem in problems if problem.severity != "note"}
    assert found == expected(file), render(problems, texts)


def test_the_corpus_is_there() -> None:
    assert len(FILES) > 60
