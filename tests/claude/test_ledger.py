"""Whoever is killed, and when: the bill is the server's, or says what of it is estimated and is short of little."""

import random

import pytest
from claude.ledger import Job, objections, planned
from fakes.messages_api import MessagesApi
from worlds import World


@pytest.mark.parametrize("seed", [1, 2])
def test_the_bill_is_the_ledger_of_the_server(world: World, api: MessagesApi, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    job = Job(world, api, 5, planned(chance, 5, 4), chance)
    report = job.play()
    assert job.struck
    assert objections(job, report) == []
