"""Without the effect of one option, exactly the cells of that option fail in the matrix of all options and places.

One run for each option, by a product that accepts it and does nothing about it. The cells of the option are tried in
every place, each other option in one place (times ``STRESS_SCALE``), by turns.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stress import _worlds
from stress._report import Report, scaled

KIND = "stress"
AT_A_TIME = max(1, (os.cpu_count() or 2) // 2)


def main() -> int:
    """0 if every option is proven, by itself."""
    report = Report()
    with ThreadPoolExecutor(AT_A_TIME) as workers:
        for option, wrong in zip(_worlds.TABLE, workers.map(_tried, _worlds.TABLE), strict=True):
            also = ", ".join(_worlds.DEPENDENTS.get(option, {}))
            report.law(
                f"without `{option}` its cells fail{f', and those of {also}' if also else ''}",
                "; ".join(wrong),
            )
    return report.code


def _tried(option: str) -> list[str]:
    """What is wrong with the matrix for one option, in words."""
    with tempfile.TemporaryDirectory(prefix="prodigy-mutant-") as folder:
        world, tag = _worlds.made_world(Path(folder)), f"tag-{os.getpid():08x}{abs(hash(option)) % 2**32:08x}"
        try:
            failed = _worlds.failing(world, tag, option, places=scaled(1))
            return _worlds.verdict(option, failed)
        except AssertionError as error:
            return [str(error)]
