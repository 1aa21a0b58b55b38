"""Train by `partial_fit`, one pass through the blocks of a dask array."""

import dask.array as da
import numpy as np
from dask_ml.wrappers import Incremental

from sk_autoencoder import AutoencoderTransformer

rng = np.random.default_rng(0)
rows = np.tanh(rng.normal(size=(8_000, 3)) @ rng.normal(size=(3, 20)))
X = da.from_array(rows, chunks=(1_000, 20))
incremental = Incremental(AutoencoderTransformer(3, random_state=0)).fit(X)
codes = incremental.transform(X)  # a dask array
print(incremental.estimator_.score(X))

# Checked by `make recipes`:
start = AutoencoderTransformer(3, max_epochs=0).fit(rows).score(rows)
assert incremental.estimator_.score(X) > start
assert codes.compute().shape == (8_000, 3)
