"""``prodigy report``: one story, on a terminal, as Markdown, as a page, as a document."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from stories import NASTY, OTHER, START, STEM, Write, half, whole

from prodigy import events, ids
from prodigy.paths import Layout
from prodigy.store.locks import JobLock


def test_the_story_of_a_run(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("report", "latest")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == f"session-mapreduce-{STEM}  completed"
    assert "  items       1 done, 1 failed, 0 skipped of 2" in lines
    assert "Phases" in lines
    failures = lines[lines.index("Failures") + 2].split()
    assert failures[:2] == ["1", "command-failed"]
    assert failures[-1] == "/l"
    first, second = lines[lines.index("Items") + 2 : lines.index("Items") + 4]
    assert "src/\\x1b[2Jb.py" in first, "what failed stands first, and acts on no terminal"
    assert second.split()[:2] == ["src/a.py", "done"]
    assert lines[-1] == "next: prodigy worktree merge k7m2pq"
    assert desk.call("report").out == said.out


def test_the_document_is_that_of_the_run_itself(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    document = json.loads(desk.call("report", STEM, "--json").out)
    assert document["schema"] == "prodigy.report/1"
    assert (document["status"], document["exit_code"]) == ("completed", 0)
    assert [item["item_id"] for item in document["items"]["list"]] == ["a", "b"]
    assert [item["ended_at"] is not None for item in document["items"]["list"]] == [True, True]
    assert document["critical_path"] == []


def test_a_run_that_lives_has_a_report_too(desk: Any, write: Write) -> None:
    write(OTHER, half(OTHER, "fix"))
    with JobLock.acquire(
        Layout(desk.home, "here").job_lock(ids.job_id(ids.Stem(OTHER), "mapreduce")), since=START
    ):
        document = json.loads(desk.call("report", "h8w1zz", "--json").out)
    assert (document["status"], document["exit_code"]) == ("running", None)
    assert json.loads(desk.call("report", "h8w1zz", "--json").out)["status"] == "interrupted"


def test_what_a_run_waited_for(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    document = json.loads(desk.call("report", STEM, "--json", "--critical-path").out)
    assert {link["phase"] for link in document["critical_path"]} == {"map"}
    assert "What the run waited for" in desk.call("report", STEM, "--critical-path").out
    assert "What the run waited for" not in desk.call("report", STEM).out


class Page(HTMLParser):
    """Which elements a page has, with their attributes, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_one_file_that_loads_nothing(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "<script>alert(1)</script>"))
    said = desk.call("report", STEM, "--html", "run.html")
    assert (said.code, said.out) == (0, "")
    content = (desk.directory / "run.html").read_text()
    assert said.err == f"written to {desk.directory / 'run.html'}\n"
    page = Page(content)
    assert [tag for tag, _ in page.elements].count("script") == 1, "what was recorded is no markup"
    assert not [attributes for _, attributes in page.elements if {"src", "href"} & attributes.keys()]
    assert not re.search(r"url\(|@import|https?:", content)
    assert "<script>alert(1)</script>" in page.text
    assert NASTY not in page.text, "nothing acts on a terminal that shows the file"
    assert "Failures" in page.text
    assert page.elements[0][0] == "html"


def test_markdown_of_names_that_look_like_markdown(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "a|b *c* [d](e)"))
    said = desk.call("report", STEM, "--md", "-")
    assert (said.code, said.err) == (0, "")
    assert r"- **workflow**: a\|b \*c\* \[d\](e)" in said.out
    tables = [line for line in said.out.splitlines() if line.startswith("|")]
    assert tables
    assert "\x1b" not in said.out


@pytest.mark.parametrize("flag", ["--md", "--html"])
def test_standard_output_holds_one_thing(desk: Any, write: Write, flag: str) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("report", STEM, flag, "-", "--json")
    assert said.code == 2
    assert json.loads(said.out)["error"]["code"] == "conflicting-flags"


def test_a_file_and_the_document_together(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("report", STEM, "--html", "run.html", "--json")
    assert json.loads(said.out)["schema"] == "prodigy.report/1"
    assert (desk.directory / "run.html").is_file()


def test_the_old_name_is_understood_with_a_warning(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("analytics", "--session", "k7m")
    assert said.code == 0
    assert said.err == "warning: deprecated-name: `prodigy analytics` is now called `prodigy report`\n"
    assert said.out == desk.call("report", "k7m").out


def test_a_long_list_is_cut_on_a_terminal_and_whole_elsewhere(desk: Any, write: Write) -> None:
    begun = half(OTHER, "fix")[:2]
    items = [events.ItemSelected(index=n, item_id=f"i{n}", item=f"item {n}") for n in range(40)]
    write(OTHER, [*begun, *items, events.ItemsSelected(count=40)])
    text, page = desk.call("report", OTHER).out, desk.call("report", OTHER, "--html", "-").out
    assert sum(line.startswith("item ") for line in text.splitlines()) == 1 + 30
    assert "and 10 more rows: all with `--md -`, `--html FILE` or `--json`" in text
    assert page.count(">pending</td>") == 40
