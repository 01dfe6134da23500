"""What a verb that removes things says: what is gone or would be, what was left alone and why, how many bytes."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from prodigy.cli.invocation import Invocation
from prodigy.cli.text import readable_size


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone, or would be; ``rescue_refs`` keep what was not merged."""

    what: str
    bytes: int
    rescue_refs: tuple[str, ...] = ()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What was left alone."""

    what: str
    why: str


class RemovalDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.removal/1"):
    """``prodigy.removal/1``; ``bytes`` in all."""

    removed: list[Removed]
    kept: list[Kept]
    bytes: int
    dry_run: bool


def removal(removed: list[Removed], kept: list[Kept], *, dry_run: bool) -> RemovalDocument:
    """The document; its bytes are added up."""
    return RemovalDocument(removed, kept, sum(gone.bytes for gone in removed), dry_run)


def tell_removal(invocation: Invocation, document: RemovalDocument, nothing: str) -> None:
    """Print it; ``nothing`` is what is said where there was nothing to remove or to keep."""
    printer = invocation.printer
    printer.document(document)
    verb = "would remove" if document.dry_run else "removed"
    for gone in document.removed:
        printer.line(f"{verb}  {gone.what}  {readable_size(gone.bytes)}")
        for ref in gone.rescue_refs:
            printer.line(f"  kept as {ref}")
    for left in document.kept:
        printer.line(f"kept     {left.what}  {left.why}")
    if not document.removed and not document.kept:
        printer.line(nothing)
    elif len(document.removed) > 1:
        printer.line(f"{readable_size(document.bytes)} in all")


def bytes_below(places: Iterable[Path]) -> int:
    """How many bytes the files of some folders have, links counted as themselves; what vanishes counts nothing."""
    total = 0
    for place in places:
        for folder, _, files in os.walk(place):
            for file in files:
                try:
                    total += Path(folder, file).lstat().st_size
                except OSError:
                    continue
    return total
