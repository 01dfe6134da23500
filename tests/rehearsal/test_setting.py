"""Which scene is for which launch."""

from typing import Any

import pytest

from prodigy.rehearsal.script import Scene, Script
from prodigy.rehearsal.setting import Setting, chosen, setting_of

MAP = {
    "PRODIGY_PHASE": "map",
    "PRODIGY_STEP": "1.on_failure.1",
    "PRODIGY_ATTEMPT": "2",
    "PRODIGY_ITEM_ID": "src-a.py-1",
    "PRODIGY_ITEM_JSON": '{"path": "src/a.py", "size": 3}',
}


def setting(prompt: str = "/lint a", model: str | None = "opus") -> Setting:
    return setting_of(MAP, prompt, model)


def test_a_launch_says_what_it_is_about() -> None:
    about = setting()
    assert about.item == {"path": "src/a.py", "size": 3}
    assert about.roots()["item_id"] == "src-a.py-1"
    assert (about.phase, about.step, about.attempt) == ("map", "1.on_failure.1", 2)


def test_a_launch_without_an_item() -> None:
    about = setting_of({"PRODIGY_PHASE": "reduce", "PRODIGY_STEP": "2"}, "sum up", None)
    assert "item" not in about.roots()
    assert not about.fits(Scene(place="", acts=(), item="**"))
    assert not about.fits(Scene(place="", acts=(), model="*"))


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ({}, True),
        ({"phase": "map"}, True),
        ({"phase": "reduce"}, False),
        ({"step": "1.on_failure.*"}, True),
        ({"step": "1"}, False),
        ({"item": "src/*.py"}, True),
        ({"item": "src-a.py-1"}, True),
        ({"item": "*.py"}, False),
        ({"prompt": "^/lint"}, True),
        ({"prompt": "lint$"}, False),
        ({"model": "op*"}, True),
        ({"model": "sonnet"}, False),
        ({"attempt": 2}, True),
        ({"attempt": 1}, False),
        ({"phase": "map", "attempt": 1}, False),
    ],
)
def test_all_words_of_a_scene_are_true(words: dict[str, Any], fits: bool) -> None:
    assert setting().fits(Scene(place="", acts=(), **words)) is fits


def test_the_first_scene_that_fits() -> None:
    """One that is used up is passed over."""
    first, second = Scene(place="", acts=(), times=2), Scene(place="", acts=(), phase="map")
    script = Script(scenes=(Scene(place="", acts=(), phase="setup"), first, second))
    assert [chosen(script, setting(), lambda _, begun=begun: begun) for begun in (0, 1, 2)] == [1, 1, 2]
    assert chosen(Script(scenes=(first,)), setting(), lambda _: 2) is None
