"""Steps of an ensemble: one call with stacked weights gives what vmap gives."""

import pytest
import torch

from sk_autoencoder.core._trainer import BatchLosses
from sk_autoencoder.nn._dense import Dropout
from sk_autoencoder.nn._ensemble import Ensemble


def check_stacked_losses(alone, objective, batch):
    """Compare losses, reconstructions and gradients, and return the terms of the loss."""
    results = []
    for is_stacked in (False, True):
        together = Ensemble(alone).train()
        losses = BatchLosses(together, objective)
        assert losses.takes_stacked
        losses.takes_stacked = is_stacked
        torch.manual_seed(0)
        with pytest.MonkeyPatch.context() as patch:  # vmap draws no bytes
            patch.setattr(Dropout, "forward", torch.nn.Dropout.forward)
            terms, output = losses(batch)
        sum(terms.values()).backward()
        gradients = [p.grad for p in together.parameters() if p.grad is not None]
        assert len(gradients) == len(list(together.parameters()))
        results.append([*terms.values(), output, *gradients])
    for stacked, mapped in zip(*results, strict=True):
        torch.testing.assert_close(stacked, mapped)
    return terms
