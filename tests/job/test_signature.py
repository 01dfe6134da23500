"""Signatures: alike failures share one, different failures do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import Failure
from prodigy.job.signature import error_signature, signature_of


def signature(message: str, step: str | None = "2") -> str:
    return error_signature("command-failed", step, message)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("exited with 1", "exited with 127"),
        ("no such file: 'a b.py'", "no such file: 'x.py'"),
        ('cannot find "a"', 'cannot find "b c"'),
        ("cannot find `a`", "cannot find `b`"),
        ("at /home/ann/a.py:3:14 bad", "at /tmp/x/y.rs:10:7 bad"),
        ("src/a.py:12:34: E501", "lib/deep/b.py:7:3: E501"),
        ("a.py: not found", "b.test.py: not found"),
        ("commit 9f3c01aa27be refused", "commit 0d41b7cafe refused"),
        ("at 0xdeadbeef", "at 0x10"),
        ("2026-11-22T08:15:00.123Z timeout", "2027-01-01 00:00:00 timeout"),
        ("at 08:15:00 it broke", "at 9:30 it broke"),
        ("id 01234567-89ab-cdef-0123-456789abcdef", "id fedcba98-7654-3210-fedc-ba9876543210"),
        ("took 1.5 s\n  of 2", "took 3 s of 10"),
    ],
)
def test_what_varies_does_not_count(one: str, other: str) -> None:
    assert signature(one) == signature(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("exited with 1", "killed by signal 9"),
        ("can't open it, don't know why", "can't close it, don't know why"),
        ("memory over its limit", "output over its limit"),
    ],
)
def test_what_was_said_counts(one: str, other: str) -> None:
    assert signature(one) != signature(other)


def test_class_and_step_count() -> None:
    assert error_signature("timeout", "2", "m") != signature("m")
    assert signature("m", "2") != signature("m", "3")


def test_a_failure_has_the_signature_of_its_parts() -> None:
    failure = Failure(error_class="command-failed", message="exited with 3", step="2", exit_code=3)
    assert signature_of(failure) == signature("exited with 1")


def test_rounds_and_loop_keys_do_not_count() -> None:
    assert signature("m", "2.goal_seek#1.validate.1") == signature("m", "2.goal_seek#3.validate.1")
    assert signature("m", "2.foreach[a].1") == signature("m", "2.foreach[b].1")


@given(st.text(max_size=200))
def test_a_signature_is_sixteen_hexadecimal_digits(message: str) -> None:
    assert len(signature(message)) == 16
    int(signature(message), 16)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_never_matter(one: int, other: int) -> None:
    assert signature(f"line {one}: broken") == signature(f"line {other}: broken")
