"""Async tests run under trio; `autojump_clock` is for fakes only (a real process looks idle to it)."""

import inspect
import os
import signal
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, settings
from trio.testing import MockClock

# The same examples every time, and no verdict about time: a failure is a bug of the commit, not of the day. With
# PRODIGY_FUZZ set each run searches anew.
settings.register_profile(
    "deterministic",
    deadline=None,
    derandomize="PRODIGY_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("deterministic")

# A shell ignores Ctrl-C for what it starts in the background, and whoever is started then inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def autojump_clock() -> MockClock:
    """A virtual clock that jumps to the next deadline whenever every task waits."""
    return MockClock(autojump_threshold=0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests under trio, on the clock that the test asked for."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    clocks = [value for value in wanted.values() if isinstance(value, MockClock)]
    trio.run(partial(pyfuncitem.obj, **wanted), clock=clocks[0] if clocks else None)
    return True
