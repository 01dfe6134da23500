"""Commands of the command line as steps."""

import pytest

from prodigy.cli.composed import command, for_item


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("claude: /lint all", {"claude": "/lint all"}),
        (" shell:make docs ", {"shell": "make docs "}),
        ("/lint", {"claude": "/lint"}),
        ("  /lint", {"claude": "/lint"}),
        ("make docs", {"shell": "make docs"}),
        ("echo claude: x", {"shell": "echo claude: x"}),
        ("shell: /bin/true", {"shell": "/bin/true"}),
    ],
)
def test_which_step_a_command_is(text: str, step: dict[str, str]) -> None:
    assert command(text) == step


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/types", "/types ${item}"),
        ("/types ${item} now", "/types ${item} now"),
        ("/types ${ item } now", "/types ${ item } now"),
        ("wc -l $item", "wc -l $item"),
        ("echo ${items}", "echo ${items} ${item}"),
    ],
)
def test_an_item_has_its_place(text: str, words: str) -> None:
    assert list(for_item(text).values()) == [words]
