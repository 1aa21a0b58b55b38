"""How rows reach the network, and what that costs in memory."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, random_array
from torch.utils._python_dispatch import TorchDispatchMode

from sk_autoencoder import AutoencoderTransformer
from sk_autoencoder.core import _data, _inference
from sk_autoencoder.core._data import BatchIterator, RowDataset, RowSource
from sk_autoencoder.nn._scalers import Scaler

X = np.arange(60.0).reshape(20, 3)
SCALER = Scaler(torch.tensor([1.0, 2.0, 3.0]).double(), torch.full((3,), 2.0).double())


@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("resident_bytes", [0, 2**20])
@pytest.mark.parametrize("piece_bytes", [1, 3 * 4 * 7, 2**20])
def test_an_epoch_sees_each_chosen_row_once(
    monkeypatch, container, resident_bytes, piece_bytes
):
    monkeypatch.setattr(_data, "CACHE_BYTES", resident_bytes)
    monkeypatch.setattr(_data, "CHUNK_BYTES", piece_bytes)
    rows = RowDataset(RowSource(container(X)), SCALER, np.arange(5, 18))
    batches = [batch.x for batch in BatchIterator(rows, batch_size=4, shuffle=True)]
    assert [len(b) for b in batches] == [4, 4, 4, 1]
    assert {b.dtype for b in batches} == {torch.float32}
    seen = torch.cat(batches).sort(dim=0).values
    expected = (X[5:18] - [1, 2, 3]) / 2
    np.testing.assert_allclose(seen, expected)
    in_order = [batch.x for batch in BatchIterator(rows, batch_size=4, shuffle=False)]
    np.testing.assert_allclose(torch.cat(in_order), expected)


def test_the_order_changes_from_epoch_to_epoch():
    batches = BatchIterator(
        RowDataset(RowSource(X), SCALER, np.arange(20)), batch_size=20, shuffle=True
    )
    assert not torch.equal(next(iter(batches)).x, next(iter(batches)).x)


@pytest.mark.parametrize("cached_bytes", [0, 2**20])
@pytest.mark.parametrize("read_bytes", [1, 2**20])
@pytest.mark.parametrize("indices", [np.arange(8), np.array([[3, 1, 4], [1, 5, 9]])])
def test_targets_and_weights_come_with_their_rows(
    monkeypatch, cached_bytes, read_bytes, indices
):
    monkeypatch.setattr(_data, "CACHE_BYTES", cached_bytes)
    monkeypatch.setattr(_data, "FORWARD_BYTES", read_bytes)
    weight = np.arange(20.0)
    source = RowSource(X, targets=10 * X, weight=weight)
    rows = RowDataset(source, SCALER, indices)
    assert all(batch.weight is None for batch in BatchIterator(rows, 2, shuffle=True))
    for batch in BatchIterator(rows, 2, shuffle=False):
        row = SCALER.inverse(batch.x)[..., 0] / 3  # the number of each row
        np.testing.assert_allclose(batch.weight, row)
        np.testing.assert_allclose(SCALER.inverse(batch.target)[..., 0], 30 * row)
        assert batch.n_rows == batch.x.shape[-2]
    alone = RowDataset(RowSource(X), SCALER, indices)[np.arange(2)]
    assert alone.target is alone.x
    assert alone.weight is None


def test_rows_are_read_when_they_are_first_used():
    read = []

    class Rows:
        shape = X.shape

        def __getitem__(self, indices):
            read.append(indices)
            return X[indices]

    rows = RowDataset(RowSource(Rows()), SCALER, np.arange(20))
    assert not read
    with torch.inference_mode():
        rows[np.arange(2)]
    assert len(read) == 1
    weight = torch.ones(3, requires_grad=True)
    (rows[np.arange(20)].x * weight).sum().backward()  # rows of a training too
    np.testing.assert_allclose(weight.grad, ((X - [1, 2, 3]) / 2).sum(0))
    assert len(read) == 1


def test_sparse_rows_are_never_dense_as_a_whole():
    # 300 x 5,000 would be 6 MB in float32.
    rng = np.random.default_rng(0)
    wide = random_array((300, 5_000), density=4e-3, rng=rng, dtype=np.float32).tocsr()
    autoencoder = AutoencoderTransformer(
        4, hidden_layer_sizes=(16,), batch_size=64, max_epochs=1, random_state=0
    )
    shapes = []
    original = _data.as_tensor

    def spy(part, device):
        shapes.append(part.shape[0])
        return original(part, device)

    with pytest.MonkeyPatch.context() as patch:
        for user in (_data, _inference):
            patch.setattr(user, "as_tensor", spy)
        autoencoder.fit(wide).score_samples(wide)
        autoencoder.partial_fit(wide[:200])
    assert max(shapes) <= 64


class RecordLargest(TorchDispatchMode):
    """Record the bytes of the largest tensor that an operation of torch returns."""

    n_bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.n_bytes = max(self.n_bytes, result.nbytes)
        return result


def test_memory_of_transform_is_bounded():
    rows = np.zeros((200_000, 64), np.float32)
    autoencoder = AutoencoderTransformer(
        2, hidden_layer_sizes=(256,), max_epochs=0, early_stopping=False
    ).fit(np.eye(64, dtype=np.float32))
    autoencoder.transform(rows[:1000])
    with RecordLargest() as record:
        autoencoder.transform(rows)
    assert 0 < record.n_bytes < rows.nbytes / 8  # the hidden layer of all rows: 4 times
