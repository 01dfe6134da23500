"""The matrix notices when an option does nothing: exactly its cells fail. ``stress`` tries this with every option."""

import pytest
from mutants import failing, verdict
from worlds import World


@pytest.mark.parametrize("option", ["retries", "output_file"])
def test_exactly_the_cells_of_a_missing_option_fail(world: World, tag: str, option: str) -> None:
    assert verdict(option, failing(world, tag, option)) == []
