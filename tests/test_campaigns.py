"""A few trials of each campaign; ``make fuzz`` runs many."""

from collections import Counter

import pytest
from campaigns import CAMPAIGNS, run

N_TRIALS = {"tables": 20, "parameters": 20, "files": 30}
# A Ctrl-C at any moment may hit a callback of pytest's or hypothesis' instead of the fit.
IN_SUITE = [name for name in CAMPAIGNS if name != "moments"]


@pytest.mark.parametrize("name", IN_SUITE)
def test_a_campaign_has_no_failure(name):
    outcomes = Counter()
    run(name, N_TRIALS.get(name, 5), 0, outcomes)
    assert outcomes["tried"] > 0
