"""What a launch is about: which step, item and attempt, told by its environment; and the scene that is meant for it.

Pure: the environment comes in as a value.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from prodigy.job.items import item_text
from prodigy.rehearsal.script import Scene, Script
from prodigy.workflow.globs import Glob


class Setting(Struct, frozen=True, kw_only=True):
    """One launch."""

    prompt: str
    model: str | None = None
    phase: str = ""
    step: str = ""
    attempt: int = 1
    item_id: str | None = None
    item: Any = None

    @property
    def key(self) -> str:
        """The same for all launches of one step for one item."""
        return "/".join((self.phase, self.item_id or "-", self.step))

    def roots(self) -> dict[str, Any]:
        """The variables of a script's texts."""
        about = {"phase": self.phase, "step": self.step, "attempt": self.attempt, "prompt": self.prompt}
        return about if self.item_id is None else {**about, "item": self.item, "item_id": self.item_id}

    def fits(self, scene: Scene) -> bool:
        """Whether a scene is for this launch, as far as its words go."""
        names = () if self.item_id is None else (item_text(self.item, self.item_id), self.item_id)
        return (
            scene.phase in {None, self.phase}
            and scene.attempt in {None, self.attempt}
            and _any(scene.step, (self.step,))
            and _any(scene.item, names)
            and _any(scene.model, () if self.model is None else (self.model,))
            and _found(scene.prompt, self.prompt)
        )


def setting_of(environment: Mapping[str, str], prompt: str, model: str | None) -> Setting:
    """The setting of a launch with this environment."""
    item_id = environment.get("PRODIGY_ITEM_ID")
    return Setting(
        prompt=prompt,
        model=model,
        phase=environment.get("PRODIGY_PHASE", ""),
        step=environment.get("PRODIGY_STEP", ""),
        attempt=int(environment.get("PRODIGY_ATTEMPT", "1")),
        item_id=item_id,
        item=None if item_id is None else _item(environment, item_id),
    )


def chosen(script: Script, setting: Setting, begun: Callable[[int], int]) -> int | None:
    """The number of the first scene that fits; ``None``: none does.

    ``begun`` says how many conversations of this step and item have begun with a scene before.
    """
    for number, scene in enumerate(script.scenes):
        if setting.fits(scene) and (scene.times is None or begun(number) < scene.times):
            return number
    return None


def _item(environment: Mapping[str, str], item_id: str) -> Any:
    """The work item; one that is too large for the environment goes by its id."""
    return msgspec.json.decode(environment.get("PRODIGY_ITEM_JSON") or msgspec.json.encode(item_id))


def _any(glob: str | None, texts: tuple[str, ...]) -> bool:
    return glob is None or any(map(Glob(glob).matches, texts))


def _found(pattern: str | None, text: str) -> bool:
    if pattern is None:
        return True
    from prodigy.workflow.patterns import find_pattern  # takes its time to import

    return find_pattern(pattern, text) is not None
