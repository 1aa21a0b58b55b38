"""A few trials of each campaign; ``make fuzz`` runs many."""

from collections import Counter

import pytest
from campaigns import CAMPAIGNS, run

N_TRIALS = {"tables": 40, "parameters": 40, "files": 60}


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_has_no_failure(name):
    outcomes = Counter()
    run(name, N_TRIALS.get(name, 5), 0, outcomes)
    assert outcomes["tried"] > 0
