"""The home folder lies where locks hold."""

from pathlib import Path

import pytest

from prodigy.errors import MachineError
from prodigy.store.filesystems import VARIABLE, magic_number, require_local

NFS, EXT4 = 0x6969, 0xEF53


def test_a_home_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """Whether it exists or will be made there."""
    asked: list[Path] = []

    def nfs(place: Path) -> int:
        asked.append(place)
        return NFS

    for home in (tmp_path, tmp_path / "not" / "yet"):
        with pytest.raises(MachineError, match="storage-denied") as caught:
            require_local(home, {}, nfs)
        assert "NFS" in caught.value.message
        assert VARIABLE in str(caught.value.hint)
    assert asked == [tmp_path, tmp_path]


def test_who_says_that_it_is_local_is_believed(tmp_path: Path) -> None:
    require_local(tmp_path, {VARIABLE: "1"}, lambda _: NFS)


def test_a_local_file_system_is_fine(tmp_path: Path) -> None:
    require_local(tmp_path, {}, lambda _: EXT4)


def test_the_kernel_is_asked() -> None:
    assert magic_number(Path("/proc")) == 0x9FA0
    assert magic_number(Path("/sys")) == 0x62656572
    with pytest.raises(FileNotFoundError):
        magic_number(Path("/no/such/folder"))
