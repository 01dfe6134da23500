"""Help pages: usage, what the verb does, its arguments and flags in two columns, examples."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions, RenderableType

_WIDEST_LABEL = 30
_INDENT = 2
_KINDS = {"STR": "TEXT", "INT": "N"}
"""What the parser calls a kind of value, in words."""


class TwoColumns:
    """Renders the pages of ``cyclopts``; nothing is coloured, so they read the same everywhere."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """One group of verbs, arguments or flags."""
        rows = [(_label(entry), _plain(entry.description, console)) for entry in panel.entries]
        if not rows:
            return
        indent = min(_WIDEST_LABEL, max(len(label) for label, _ in rows)) + 2 * _INDENT
        _write(console, f"\n{_plain(panel.title, console)}:")
        for label, description in rows:
            for line in _row(label, description, indent, options.max_width):
                _write(console, line)

    def render_usage(self, console: "Console", _options: "ConsoleOptions", usage: object) -> None:
        """The first line."""
        if usage:
            text = _plain(usage, console).strip()
            _write(
                console,
                text if text.startswith("Usage:") else f"Usage: {_in_our_words(text)}",
            )

    def render_description(
        self, console: "Console", options: "ConsoleOptions", text: "RenderableType"
    ) -> None:
        """What the verb does, in paragraphs."""
        for paragraph in _plain(text, console).split("\n\n"):
            _write(console, "\n" + textwrap.fill(" ".join(paragraph.split()), options.max_width))


def help_console(stream: TextIO, width: int) -> "Console":
    """A plain console for help pages of at most ``width`` cells."""
    from rich.console import Console

    class HonestConsole(Console):
        """Tells its caller that the reader is gone, where rich would end the process."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return HonestConsole(
        file=stream,
        width=width,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def _in_our_words(usage: str) -> str:
    """A ``COMMAND`` before the options is one of a group's; one behind them is an argument of that name."""
    group = usage.replace("COMMAND [OPTIONS]", "VERB [OPTIONS]")
    return group.replace("[OPTIONS]", "[FLAGS]").replace("[ARGS", "[ARGUMENTS")


def _label(entry: "HelpEntry") -> str:
    names = [*entry.positive_shorts, *entry.positive_names, *entry.negative_names]
    if entry.positional_label:
        place = entry.positional_label if entry.required else f"[{entry.positional_label}]"
        return ", ".join((place, *names))
    return ", ".join(names) + (f" {_value_name(entry)}" if entry.metavar else "")


def _value_name(entry: "HelpEntry") -> str:
    kind = (entry.metavar or "").removesuffix("...")
    return "|".join(entry.choices) if entry.choices else _KINDS.get(kind, kind)


def _row(label: str, description: str, indent: int, width: int) -> Iterator[str]:
    lines = textwrap.wrap(" ".join(description.split()), max(20, width - indent)) or [""]
    head = " " * _INDENT + label
    if len(head) > indent - _INDENT:
        yield head
    else:
        yield head.ljust(indent) + lines.pop(0)
    for line in lines:
        yield " " * indent + line


def _plain(text: object, console: "Console") -> str:
    if text is None or isinstance(text, str):
        return text or ""
    with console.capture() as capture:
        console.print(text, soft_wrap=True)
    return capture.get().strip("\n")


def _write(console: "Console", text: str) -> None:
    console.file.write(text.rstrip() + "\n")
