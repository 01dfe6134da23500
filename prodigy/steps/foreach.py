"""Steps for each of several items, in the step's own worktree.

``{path}.foreach[INDEX].1`` are the leaves of an item, by its place from 0. What the items are is a leaf too,
``{path}.foreach.items``: they are chosen once, whatever the steps change of what they were chosen from. Bodies that run
at the same time commit nothing: the outer step commits once, when all have ended.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec import Struct, structs

from prodigy.events import Failure, StepFailed
from prodigy.ids import ItemId, content_hash, item_ids
from prodigy.steps.durable import Done, Leaf, LeafFailed, below
from prodigy.steps.nested import attempted, output_of, stream_of, typed, unfilled, whole_text
from prodigy.steps.output import short_tail
from prodigy.steps.runner import Runner
from prodigy.store.atomic import write_file
from prodigy.workflow.deferred import count
from prodigy.workflow.model import Foreach, Items, MapInput, MapPhase, Step
from prodigy.workflow.select import BadInput, read_content, select
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.texts import is_one_reference
from prodigy.workflow.values import TemplateError


async def foreach(runner: Runner, step: Step, action: Foreach, path: str, try_: int) -> Done:  # noqa: ARG001 - the form of all actions
    """Run the steps for every item.

    The outcome's ``value`` holds ``total``, ``successful``, ``failed`` and ``results``, a list of ``index``,
    ``item_id``, ``item``, ``success``, ``output`` and ``error`` by index; its output is what the items' last steps
    printed, by index. The first item that fails keeps others from being started, unless ``continue_on_error``.

    Raises:
        LeafFailed: an item failed, for that item's reason; or ``bad-input``: what the items are cannot be read.
    """
    base = f"{below(path, try_)}.foreach"
    items = _numbered(await _chosen(runner, action, base))
    loop = _Loop(runner, action, base, items)
    await loop.run()
    output = stream_of("".join(f"{result.output}\n" for result in loop.results() if result.output))
    failure = loop.failure()
    if failure is not None:
        raise LeafFailed(failure, stdout=output, value=loop.summary())
    return Done(stdout=output, value=loop.summary())


class _Item(Struct, frozen=True):
    index: int
    id: ItemId
    value: Any

    @property
    def name(self) -> str:
        """As people call it."""
        return self.value if isinstance(self.value, str) else self.id


class _Result(Struct, frozen=True):
    item: _Item
    output: str
    failure: Failure | None

    def summary(self) -> dict[str, Any]:
        return {
            "index": self.item.index,
            "item_id": self.item.id,
            "item": self.item.value,
            "success": self.failure is None,
            "output": short_tail(self.output),
            "error": None if self.failure is None else self.failure.message,
        }


class _Loop:
    """One run over the items."""

    def __init__(self, runner: Runner, action: Foreach, base: str, items: Sequence[_Item]) -> None:
        self._runner = runner
        self._action = action
        self._base = base
        self._items = items
        self._parallel = count(action.parallel)
        self._wants_files = b"item_file" in msgspec.json.encode(action.steps)
        self._results: dict[int, _Result] = {}
        self._broken: Exception | None = None

    async def run(self) -> None:
        """Run the items in order, some of them at the same time.

        Raises:
            LeafFailed: the place to run them in is gone.
        """
        free = trio.Semaphore(self._parallel)
        async with trio.open_nursery() as nursery:
            for item in self._items:
                await free.acquire()
                if self._is_over():
                    break
                nursery.start_soon(self._one, item, free, nursery.cancel_scope)
        if self._broken is not None:
            raise self._broken

    def results(self) -> list[_Result]:
        """Those of the items that ran, by index."""
        return [self._results[index] for index in sorted(self._results)]

    def summary(self) -> dict[str, Any]:
        """The fields of ``${foreach.…}``."""
        results = self.results()
        failed = sum(result.failure is not None for result in results)
        return {
            "total": len(self._items),
            "successful": len(results) - failed,
            "failed": failed,
            "results": [result.summary() for result in results],
        }

    def failure(self) -> Failure | None:
        """Why the whole step failed, if it did."""
        failed = [result for result in self.results() if result.failure is not None]
        if not failed or self._action.continue_on_error:
            return None
        first = failed[0]
        assert first.failure is not None
        more = f", and {len(failed) - 1} more failed" if len(failed) > 1 else ""
        message = f"Item {first.item.index} (`{first.item.name[:80]}`){more}: {first.failure.message}"
        return structs.replace(first.failure, message=message)

    def _is_over(self) -> bool:
        failed = any(result.failure is not None for result in self._results.values())
        return self._broken is not None or (failed and not self._action.continue_on_error)

    async def _one(self, item: _Item, free: trio.Semaphore, all_: trio.CancelScope) -> None:
        try:
            inner = self._runner.inside(self._roots(item), commits=self._parallel == 1)
            failure = await attempted(inner, self._action.steps, f"{self._base}[{item.index}].")
            self._results[item.index] = _Result(item, output_of(inner.last), failure)
        except Exception as error:  # noqa: BLE001 - raised outside the nursery, which would wrap it in a group
            self._broken = error
            all_.cancel()
        finally:
            free.release()

    def _roots(self, item: _Item) -> dict[str, Any]:
        """What the texts of an item's steps can read."""
        total = len(self._items)
        text = msgspec.json.encode(item.value)
        roots = {
            "item": item.value,
            "item_id": item.id,
            "item_index": item.index,
            "item_total": total,
            "item_json": text.decode(),
            "index": item.index,
            "total": total,
            "foreach": {"item": item.value, "index": item.index, "total": total},
        }
        if self._wants_files:
            file = Path(self._runner.logs, "items", f"{self._base}.{item.index}.json")
            write_file(file, text + b"\n")
            roots["item_file"] = str(file)
        return roots


# -- the items -----------------------------------------------------------------------------------------------------
def _numbered(items: Sequence[Any]) -> list[_Item]:
    names = [str(item) if isinstance(item, str | int | float) else content_hash(item) for item in items]
    return [
        _Item(index, id_, item) for index, (id_, item) in enumerate(zip(item_ids(names), items, strict=True))
    ]


async def _chosen(runner: Runner, action: Foreach, base: str) -> list[Any]:
    """The items, chosen now or as they were chosen before."""

    async def choose(_intent: int) -> Done:
        try:
            root, from_command = await _root(runner, action.input, base)
            phase = MapPhase(
                input=MapInput(source="list"),
                agent_template=(),
                json_path=action.json_path,
                filter=action.filter,
                sort_by=action.sort_by,
                max_items=None if action.max_items is None else count(action.max_items),
            )
            chosen = select(phase, root, runner.variables, from_command=from_command)
        except TemplateError as error:
            raise unfilled(error) from None
        except BadInput as error:
            raise LeafFailed(_bad_input(error)) from None
        return Done(value=list(chosen.items))

    outcome = await runner.door.durable(f"{base}.items", 1, Leaf(kind="items"), choose)
    if isinstance(outcome, StepFailed):
        raise LeafFailed(outcome.error, stdout=outcome.stdout, stderr=outcome.stderr)
    return list(outcome.value)


async def _root(runner: Runner, given: Items, base: str) -> tuple[Any, bool]:
    """The value in which the items are, and whether a command printed it."""
    if given.source == "list":
        return list(given.items), False
    if given.source == "file":
        return _read(runner, given.text), False
    if given.source == "auto" and is_one_reference(given.text):
        listed = _listed(typed(runner, given.text.strip()))
        if listed is not None:
            return listed, False
    done = await runner.script(render_shell(given.text, runner.variables), path=f"{base}.command")
    text = done.value if isinstance(done.value, str) else whole_text(done.stdout)
    return read_content(text.encode("utf-8", "surrogateescape"), where="what the command printed"), True


def _listed(value: Any) -> list[Any] | None:
    """A list, also one that is written as JSON; ``None`` for all else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    return list(value) if isinstance(value, list | tuple) else None


def _read(runner: Runner, text: str) -> Any:
    name = runner.text(text)
    file = Path(runner.worktree, Path(name).expanduser())
    try:
        return read_content(file.read_bytes(), file.suffix, where=name)
    except OSError as error:
        raise BadInput(f"could not read `{name}`: {error.strerror or error}") from None


def _bad_input(error: BadInput) -> Failure:
    where = f"{error.where}: " if error.where else ""
    return Failure(error_class="bad-input", message=f"{where}{error.message}")
