"""What limits say: their bounds, and how a breach reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors.limits import Breach, Limits

GIB = 1024**3


@pytest.mark.parametrize(
    ("breach", "text"),
    [
        (Breach("memory", 2.1 * GIB, 2 * GIB), "memory 2.1 GiB > 2 GiB"),
        (Breach("memory", 2 * GIB + 50 * 1024**2, 2 * GIB), "memory 2.05 GiB > 2 GiB"),
        (Breach("memory", 2 * GIB + 1, 2 * GIB), "memory 2.000000001 GiB > 2 GiB"),
        (Breach("output", 12_000, 10 * 1024), "output 11.7 KiB > 10 KiB"),
        (Breach("output", 11, 10), "output 11 B > 10 B"),
        (Breach("output", 200_001, 200_000), "output 200.001 kB > 200 kB"),
        (Breach("memory", 1.5e9, 1e9), "memory 1.5 GB > 1 GB"),
        (Breach("output", 3000 * 1024**4, 2000 * 1024**4), "output 3000 TiB > 2000 TiB"),
        (Breach("cpu_time", 61.25, 60), "cpu time 61.2 s > 60 s"),
        (Breach("wall", 10.003, 10.0), "wall 10.003 s > 10 s"),
        (Breach("idle", 0.26, 0.25), "idle 0.26 s > 0.25 s"),
        (Breach("memory", 2 * GIB, 1.23456 * GIB), "memory 2 GiB > 1.235 GiB"),
        (Breach("processes", 65, 64), "processes 65 > 64"),
    ],
)
def test_a_breach_reads_like_a_sentence(breach: Breach, text: str):
    assert str(breach) == text


@given(
    limit=st.sampled_from(["memory", "output", "processes"]),
    allowed=st.integers(1, 2**43),
    more=st.integers(1, 2**43),
)
def test_a_breach_never_reads_like_none(limit: str, allowed: int, more: int):
    """However little was too much, the two figures differ, and in the right direction."""
    text = str(Breach(limit, allowed + more, allowed))
    used, maximum = (float(number) for number in re.findall(r" ([0-9.]+)", text))
    assert text.startswith(f"{limit} ")
    assert used > maximum


@pytest.mark.parametrize("name", Limits.__struct_fields__)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_is_above_zero(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


def test_no_limit_holds_unless_it_is_set():
    assert all(getattr(Limits(), name) is None for name in Limits.__struct_fields__)
