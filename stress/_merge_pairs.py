"""Hostile pairs of commits to be merged: seeded, and written into a repository all at once.

What they do to each other: edits of the same and of other lines, renames of files and folders on both sides, files that
become folders and back, modes, symbolic links, submodules, line ends and attributes, two normal forms of a name, empty
and binary files, huge lines, deletions; and histories that cross, so that there are two merge bases.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FILE, PROGRAM, LINK, MODULE = b"100644", b"100755", b"120000", b"160000"
HUGE = 100_000
"""Bytes of a huge line."""
FOCUSED = 0.6
"""How often a change is made at the place that both sides have in focus."""

NAMES = (
    b"a",
    b"b",
    b"c.txt",
    b"d.bin",
    b"u.list",
    b"dir/a",
    b"dir/b",
    b"dir/c.txt",
    b"dir/sub/a",
    b"dir/sub/b",
    b"other/a",
    b"other/b.txt",
    b"caf\xc3\xa9",
    b"cafe\xcc\x81",
    b"caf\xe9",
    b"new\nline",
    b'"q"',
    b"-x",
    b"A",
)
FOLDERS = (b"dir", b"dir/sub", b"other", b"fresh", b"a", b"c.txt")
ATTRIBUTES = (
    b"* text=auto\n",
    b"*.txt text eol=crlf\n",
    b"*.bin binary\n",
    b"*.list merge=union\n",
    b"* merge=union\n",
    b"a -merge\nb merge=binary\n",
    b"* -text\n",
    b"[attr]made -merge\nb made\n",
    b"a conflict-marker-size=3\n",
    b"*.txt -merge\n",
    b"*.txt working-tree-encoding=UTF-16\n",
)

Entry = tuple[bytes, bytes]
"""Mode, and content; of a submodule the commit."""
Files = dict[bytes, Entry]


@dataclass(frozen=True)
class Pair:
    """Commits by their places in the history, which has parents before children."""

    trees: list[Files]
    parents: list[tuple[int, ...]]
    ours: int
    theirs: int


def pair(chance: random.Random) -> Pair:
    """A history with two tips."""
    base = first_files(chance)
    focus = chance.choice(sorted(base))
    trees, parents = [base], [()]

    def commit(files: Files, *of: int) -> int:
        trees.append(files)
        parents.append(of)
        return len(trees) - 1

    if chance.random() < 0.2:  # each side merges the other one, in a way of its own
        one, other = commit(changed(base, chance, focus), 0), commit(changed(base, chance, focus), 0)
        ours = commit(changed(mixed(trees[one], trees[other], chance), chance, focus), one, other)
        theirs = commit(changed(mixed(trees[other], trees[one], chance), chance, focus), other, one)
    else:
        ours, theirs = commit(changed(base, chance, focus), 0), commit(changed(base, chance, focus), 0)
    return Pair(trees, list(parents), ours, theirs)


def first_files(chance: random.Random) -> Files:
    """Some files to begin with."""
    files: Files = {}
    for name in chance.sample(NAMES, chance.randint(3, len(NAMES))):
        put(files, name, content(chance, name))
    if chance.random() < 0.5:
        put(files, chance.choice((b".gitattributes", b"dir/.gitattributes")), attributes(chance))
    return files


def content(chance: random.Random, name: bytes) -> Entry:
    """What may lie at a place."""
    kind = chance.random()
    if kind < 0.05:
        return LINK, chance.choice((b"a", b"dir/a", b"nowhere", b"dir"))
    if kind < 0.09:
        return MODULE, b"%040x" % chance.randint(1, 3)
    mode = PROGRAM if chance.random() < 0.1 else FILE
    if kind < 0.14:
        return mode, b""
    if kind < 0.19:
        return mode, bytes(chance.randrange(256) for _ in range(200)) + b"\0"
    if kind < 0.21:
        return mode, b"x" * HUGE + b"\n" + name + b"\n"
    end = b"\r\n" if chance.random() < 0.15 else b"\n"
    stem = name if chance.random() < 0.7 else b"shared"
    return mode, b"".join(b"%b %d%b" % (stem, line, end) for line in range(chance.randint(1, 14)))


def attributes(chance: random.Random) -> Entry:
    """An attribute file."""
    return FILE, b"".join(chance.sample(ATTRIBUTES, chance.randint(1, 3)))


def changed(files: Files, chance: random.Random, focus: bytes) -> Files:
    """The files after a few changes, many of them at one place that the other side changes as well."""
    files = dict(files)
    for _ in range(chance.randint(1, 5)):
        chance.choice(CHANGES)(files, chance, focus)
    return files


def pick(names: Iterable[bytes], chance: random.Random, focus: bytes) -> bytes | None:
    """One of the names, often the one in focus; none if there are none."""
    known = sorted(names)
    if focus in known and chance.random() < FOCUSED:
        return focus
    return chance.choice(known) if known else None


def mixed(one: Files, other: Files, chance: random.Random) -> Files:
    """What a merge by hand may give: now the one side's, now the other's."""
    files: Files = {}
    for name in sorted(one.keys() | other.keys()):
        entry = chance.choice((one, other)).get(name)
        if entry is not None:
            put(files, name, entry)
    return files


def put(files: Files, name: bytes, entry: Entry) -> None:
    """Lay something at a place; what was there, above it or below it goes."""
    parts = name.split(b"/")
    for count in range(1, len(parts)):
        files.pop(b"/".join(parts[:count]), None)
    for below in [path for path in files if path.startswith(name + b"/")]:
        del files[below]
    files[name] = entry


# -- changes -------------------------------------------------------------------------------------------------------------
def edit(files: Files, chance: random.Random, focus: bytes) -> None:
    """Change, add or remove lines."""
    texts = [name for name, (mode, data) in files.items() if mode in {FILE, PROGRAM} and b"\n" in data]
    name = pick(texts, chance, focus)
    if name is None:
        return
    mode, data = files[name]
    lines = data.split(b"\n")
    place = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            lines.insert(place, b"inserted %d" % chance.randint(0, 2))
        case 1:
            del lines[place]
        case _:
            lines[place] = b"line %d" % chance.randint(0, 2)
    files[name] = mode, b"\n".join(lines)


def write(files: Files, chance: random.Random, focus: bytes) -> None:
    """A file at a place, new or not; where a folder was, or below what was a file."""
    name = pick(NAMES, chance, focus) or focus
    put(files, chance.choice((name, name, name + b"/x", chance.choice(FOLDERS))), content(chance, name))


def delete(files: Files, chance: random.Random, focus: bytes) -> None:
    """One file less."""
    name = pick(files, chance, focus)
    if name is not None:
        del files[name]


def rename(files: Files, chance: random.Random, focus: bytes) -> None:
    """A file elsewhere, now and then over another one."""
    name = pick(files, chance, focus)
    if name is not None:
        entry = files.pop(name)
        folder = chance.choice((b"", b"", *(folder + b"/" for folder in FOLDERS)))
        put(files, folder + chance.choice((b"moved-1", b"moved-2", b"a", b"b")), entry)


def rename_folder(files: Files, chance: random.Random, focus: bytes) -> None:
    """All that a folder holds elsewhere."""
    old, new = focus.rpartition(b"/")[0] or chance.choice(FOLDERS), chance.choice(FOLDERS)
    for name in sorted(files):
        if name.startswith(old + b"/") and name in files:
            put(files, new + name.removeprefix(old), files.pop(name))


def mode(files: Files, chance: random.Random, focus: bytes) -> None:
    """A program that was a file, or back."""
    plain = [name for name, (how, _) in files.items() if how in {FILE, PROGRAM}]
    name = pick(plain, chance, focus)
    if name is not None:
        how, data = files[name]
        files[name] = (FILE if how == PROGRAM else PROGRAM), data


def line_ends(files: Files, chance: random.Random, focus: bytes) -> None:
    """All line ends of a file the other way."""
    plain = [name for name, (how, _) in files.items() if how in {FILE, PROGRAM}]
    name = pick(plain, chance, focus)
    if name is not None:
        how, data = files[name]
        files[name] = how, data.replace(b"\r\n", b"\n") if b"\r\n" in data else data.replace(b"\n", b"\r\n")


def attribute(files: Files, chance: random.Random, _focus: bytes) -> None:
    """Other attributes."""
    put(files, chance.choice((b".gitattributes", b"dir/.gitattributes")), attributes(chance))


CHANGES = (
    edit,
    edit,
    edit,
    edit,
    write,
    write,
    delete,
    rename,
    rename,
    rename_folder,
    mode,
    line_ends,
    attribute,
)


# -- into a repository -----------------------------------------------------------------------------------------------------
def stream(pairs: list[Pair]) -> bytes:
    """What ``git fast-import`` reads: the tips of pair ``n`` are ``refs/heads/ours-n`` and ``refs/heads/theirs-n``."""
    return b"".join(_told(pairs))


def _told(pairs: list[Pair]) -> Iterator[bytes]:
    mark = 0
    for number, made in enumerate(pairs):
        first = mark + 1
        for place, (files, parents) in enumerate(zip(made.trees, made.parents, strict=True)):
            mark += 1
            yield b"commit refs/made/%d-%d\nmark :%d\n" % (number, place, mark)
            yield b"committer F <f@example.org> %d +0000\ndata 1\nm\n" % (1_700_000_000 + place)
            for word, parent in zip((b"from", b"merge"), parents, strict=False):
                yield b"%b :%d\n" % (word, first + parent)
            yield b"deleteall\n"
            for name, (how, data) in files.items():
                yield _file(name, how, data)
        for side, tip in ((b"ours", made.ours), (b"theirs", made.theirs)):
            yield b"reset refs/heads/%b-%d\nfrom :%d\n\n" % (side, number, first + tip)


def _file(name: bytes, how: bytes, data: bytes) -> bytes:
    quoted = b"".join(b"\\%03o" % byte for byte in name)
    if how == MODULE:
        return b'M 160000 %b "%b"\n' % (data, quoted)
    return b'M %b inline "%b"\ndata %d\n%b\n' % (how, quoted, len(data), data)
