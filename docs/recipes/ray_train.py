"""Fit one estimator by two workers of Ray Train, to the rows of a Ray data set."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import ray
import ray.train
from ray.train.torch import TorchTrainer

import sk_autoencoder
from sk_autoencoder import AutoencoderTransformer, distributed
from sk_autoencoder.streaming import Chunks


def train(config):
    """Fit to the shard of this worker; the first one saves the estimator."""
    shard = ray.train.get_dataset_shard("train")
    X = Chunks(lambda: shard.iter_batches(batch_format="pandas"))
    model = AutoencoderTransformer(3, max_epochs=3, random_state=0)
    model = distributed.fit(model, X)
    if ray.train.get_context().get_world_rank() == 0:
        model.save(config["path"])


rng = np.random.default_rng(0)
rows = np.tanh(rng.normal(size=(8_000, 3)) @ rng.normal(size=(3, 20)))
frame = pd.DataFrame(rows, columns=[f"x{i}" for i in range(20)])
folder = Path(tempfile.mkdtemp())
TorchTrainer(
    train,
    train_loop_config={"path": folder / "model.skops"},
    datasets={"train": ray.data.from_pandas(frame)},
    scaling_config=ray.train.ScalingConfig(num_workers=2),
    run_config=ray.train.RunConfig(storage_path=str(folder)),
).fit()
model = sk_autoencoder.load(folder / "model.skops")
print(model.score(frame))

# Checked by `make recipes`:
alone = AutoencoderTransformer(3, max_epochs=3, random_state=0).fit(frame)
assert abs(model.score(frame) - alone.score(frame)) < 0.005
