"""Secrets are hidden in every form and however a stream is cut; everything else stays as it is."""

import base64
import json
import re
import subprocess
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prodigy.steps.masking import MaskedStream, Masker
from prodigy.steps.secret_forms import is_too_short

TOKEN = "s3cr3t/T0ken+with=\"quotes\" and 'more'"  # noqa: S105 - nobody's
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----"
MASKER = Masker({"TOKEN": TOKEN, "KEY": KEY, "SHORT": "hunter2"})
SECRETS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=6, max_size=40
)


def forms(value: str) -> list[str]:
    return [
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        json.dumps(json.dumps({"v": value})),
        quote(value, safe=""),
        quote(value),
        re.sub("%..", lambda digits: digits[0].lower(), quote(value, safe="")),
        quote_plus(value),
        *(base64.b64encode(b"x" * before + value.encode() + b"tail").decode() for before in range(4)),
        base64.urlsafe_b64encode(value.encode()).decode(),
        base64.encodebytes(value.encode()).decode(),
    ]


@pytest.mark.parametrize("value", [TOKEN, KEY, "hunter2"])
def test_every_form_is_hidden(value: str) -> None:
    for form in forms(value):
        masked = MASKER.text(f"before {form} after")
        assert "***" in masked, form
        assert masked.startswith("before ")
        assert masked.endswith(" after")
        assert not Masker({"V": value}).found(masked.encode())


@pytest.mark.parametrize("width", [1, 3, 5, 7])
@pytest.mark.parametrize("indent", ["", "    ", "\t"])
def test_values_split_over_lines_are_hidden(width: int, indent: str) -> None:
    for form in forms("hunter2hunter3"):
        lines = [form[at : at + width] for at in range(0, len(form), width)]
        folded = ("\n" + indent).join(lines)
        assert "***" in MASKER.text(folded)
        assert "***" in MASKER.text(folded.replace("\n", "\r\n"))
        assert "***" in MASKER.text(json.dumps(folded))


@pytest.mark.parametrize(
    "value",
    [r"pass\\word-one", r"pass\tword\0101two", r"long-before\c-after", r"pass\\cword", "no-backslash"],
)
def test_what_sh_makes_of_a_value_is_hidden(value: str) -> None:
    for script in ('echo "$V"', 'printf "%b" "$V"'):
        printed = subprocess.run(["/bin/sh", "-c", script], env={"V": value}, capture_output=True, check=True)
        assert Masker({"V": value}).raw(printed.stdout).strip() == b"***"


def test_what_is_no_secret_stays() -> None:
    text = "hunter 2, hunter\\2, s3cr3t/T0ken, and a lot of other text\n" * 10
    assert MASKER.text(text) == text
    assert Masker({}).text("hunter2") == "hunter2"


@given(secret=SECRETS, before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_secret_is_hidden_wherever_it_stands(secret: str, before: str, after: str) -> None:
    if is_too_short(secret):
        assert not Masker({"S": secret})
        return
    masker = Masker({"S": secret})
    text = f"{before}{secret}{after}".encode("utf-8", "surrogatepass")
    assert secret.encode() not in masker.raw(text) or secret in before or secret in after
    assert not masker.found(masker.raw(text)) or "***" in secret or "*" in secret


PARTS = st.lists(
    st.sampled_from(
        ["hun", "ter2", "hunter2", "h", "\n", "\r\n  ", "\\n", "\\", "aHVudGVyMg", "==", "x", " ", TOKEN, KEY]
    ),
    max_size=30,
)


@given(parts=PARTS, cuts=st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_a_stream_is_masked_as_the_whole_of_it(parts: list[str], cuts: list[int]) -> None:
    """Where chunks begin makes no difference."""
    data = "".join(parts).encode()
    stream = MaskedStream(MASKER)
    told, position, turn = b"", 0, 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        told += stream.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert told + stream.rest() == MASKER.raw(data)


def test_a_stream_holds_back_no_more_than_may_begin_a_secret() -> None:
    stream = MaskedStream(MASKER)
    assert stream.feed(b"compiling ...\n") == b"compiling ...\n"
    assert stream.feed(b"the hunt") == b"the "
    assert stream.feed(b"ing season") == b"hunting season"
    assert stream.feed(b" hun\n") == b" "
    assert stream.rest() == b"hun\n"


def test_a_stream_of_data_keeps_names() -> None:
    stream = MaskedStream(MASKER, named=True)
    told = stream.feed(b"a hunt") + stream.feed(b"er2 aHVudGVy") + stream.feed(b"Mg==") + stream.rest()
    assert told == b"a ***SHORT*** ***g=="


def test_blanks_without_end_are_not_held_for_ever() -> None:
    stream = MaskedStream(MASKER)
    told = stream.feed(b"hun") + b"".join(stream.feed(b"\n" * 4096) for _ in range(64))
    assert len(told) >= 64 * 1024


def test_parts_are_hidden_where_a_text_was_cut() -> None:
    """Where it says so, and at the beginning of what is as long as the tails that are kept of longer ones."""
    padding = "x " * 40
    for cut in range(6, len(TOKEN)):
        assert MASKER.text(padding + TOKEN[:cut] + "…") == f"{padding}***…"
        assert MASKER.text("…" + TOKEN[-cut:] + padding) == f"…***{padding}"
        tail = TOKEN[-cut:] + padding * 60
        assert MASKER.text(tail) == "***" + padding * 60


@given(before=st.text(st.characters(blacklist_categories=("Cs",)), max_size=99), cut=st.integers(1, 38))
def test_what_only_begins_or_ends_as_a_secret_does_stays(before: str, cut: int) -> None:
    """Nothing more comes at the end of a text, and nothing stood before its beginning."""
    masker = Masker({"TOKEN": TOKEN})
    assume(not masker.found(before.encode()) and "…" not in before)
    for text in (f"{before} {TOKEN[:cut]}", f"{TOKEN[-cut:]} {before}"):
        assume(not masker.found(text.encode()))
        assert masker.text(text) == text
        stream = MaskedStream(masker)
        assert stream.feed(text.encode()) + stream.rest() == text.encode()


def test_each_line_of_a_value_is_hidden_alone() -> None:
    """As text and as JSON, however it is indented or cut into chunks; short lines are words like any other."""
    masker = Masker({"KEY": 'first "line"\n  second-line\n\nshort\n'})
    for line in ('first "line"', "second-line", json.dumps('first "line"')[1:-1]):
        assert masker.text(f"a {line} b") == "a *** b"
        stream = MaskedStream(masker)
        told = b"".join(stream.feed(bytes([byte])) for byte in f"a {line} b".encode()) + stream.rest()
        assert told == b"a *** b"
    assert masker.text("short") == "short"
    assert MASKER.text("MIIEvQIBADANBg") == "***"


@given(lines=st.lists(SECRETS.filter(lambda line: len(line.splitlines()) == 1), min_size=2, max_size=5))
def test_no_line_of_a_value_is_found_in_what_is_masked(lines: list[str]) -> None:
    masker = Masker({"KEY": "\n".join(lines)})
    for line in lines:
        if not is_too_short(line.strip()):
            assert masker.raw(f"<{line.strip()}>".encode()) == b"<***>"


def test_overlapping_secrets_leave_nothing() -> None:
    masker = Masker({"A": "abcdefgh", "B": "efghijkl", "C": "abcdefghijklmnop"})
    assert masker.text("abcdefghijkl") == "***"
    stream = MaskedStream(masker)
    assert stream.feed(b"abcdefgh") + stream.feed(b"ijkl") + stream.rest() == b"***"


def test_data_keeps_names_and_gets_its_values_back() -> None:
    item = {"url": "https://u:hunter2@host", "hunter2": [1, None, "hunter2"], "other": True}
    named = MASKER.named(item)
    assert named == {
        "url": "https://u:***SHORT***@host",
        "***SHORT***": [1, None, "***SHORT***"],
        "other": True,
    }
    assert MASKER.reveal(named) == item
    assert MASKER.data(item)["url"] == "https://u:***@host"
    assert MASKER.reveal("***OTHER*** ***") == "***OTHER*** ***"


def test_data_without_secrets_is_the_same_object() -> None:
    item = {"a": [1, "two", {"three": (4, "five")}]}
    assert MASKER.data(item) is item
    assert MASKER.named(item) is item


def test_further_secrets_are_hidden_beside_the_first_ones() -> None:
    more = MASKER.also({"SHORT": "another1", "NEW": "brand-new"})
    assert more.text("hunter2 another1 brand-new") == "*** *** ***"
    assert more.also({"NEW": "brand-new"}) is more
    still = more.also({"SHORT": "a-third-one"})
    assert still.text("hunter2 another1 a-third-one") == "*** *** ***"


@pytest.mark.parametrize("value", ["", "12345", "a b c d e", "  \n  \t    "])
def test_short_values_cannot_be_secrets(value: str) -> None:
    assert is_too_short(value)
    assert not Masker({"S": value})
