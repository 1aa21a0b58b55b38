"""Layers that are trained one after the other, then together."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
import torch

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.utils._sklearn_compat import Interval

SHARED = ("l1_penalty", "trim_fraction", "optimizer", "weight_decay")


SHARED += ("batch_size", "max_epochs", "device", "verbose")


@dataclass(kw_only=True, eq=False, repr=False)
class StackedAutoencoder(BaseAutoencoder):
    r"""Dimensionality reduction by an autoencoder that is trained layer by layer.

    Each layer :math:`f_l` of the encoder is first trained with its mirror :math:`g_l` in
    the decoder as an autoencoder of its own, on the codes of the layers before it [1]_,
    with noise on what it sees [4]_:

    .. math:: \frac1n \sum_i \ell\big(g_l(f_l(h_i + \varepsilon_i)), h_i\big),
        \quad h_i = f_{l-1}(\dots f_1(x_i))

    The layers then start a deep network :math:`f_L \circ \dots \circ f_1`, which is trained
    as a whole.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=2
        Width of the code. A float takes the smallest number of components with which PCA
        explains more than that share of the variance; None takes
        ``min(n_samples, n_features)``, as PCA does.
    hidden_layer_sizes : int or sequence of int, default=(128, 64, 32)
        Widths of the hidden layers of the encoder; the decoder mirrors them. An empty
        sequence gives a linear autoencoder.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Share of the hidden units that is dropped in each training step.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    network : callable, pair of torch modules or None, default=None
        ``(n_features, n_components) -> sk_autoencoder.nn.Network``, in place of the
        dense network that the four parameters above describe, or a pair (encoder, decoder)
        of which each fit trains copies. It sees scaled rows. A specification from
        ``sk_autoencoder.nn``, such as ``Convolutional``, is one such callable, and
        its parameters can be searched as ``network__channels``.
    init : {"pca", "random"}, default="random"
        What training as a whole starts from: ``"random"`` takes the layers as they are;
        with ``"pca"`` a linear path that starts at PCA is put beside them, the last layer
        of encoder and decoder starts at zero instead, and held-out rows choose how far to
        go from there, as in ``AutoencoderTransformer``. Without `fine_tune` the layers are
        taken as they are.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``
        (squared up to one scaled unit), ``"binary_cross_entropy"`` (a sigmoid output;
        values of X in [0, 1], which are not scaled), or for counts and tf-idf, of rows
        brought to one length, ``"multinomial"`` (shares of a row; a softmax output) and
        ``"cosine"``; or a callable ``(output, x)`` of two tensors of shape (batch,
        n_features) that returns one error a row.
    scaling : {"global", "standard"} or None, default="global"
        ``"global"`` subtracts the mean row and divides by one number, the root of the
        mean variance of a feature, which keeps PCA's objective; ``"standard"`` divides each
        feature by its own standard deviation; None leaves X alone.
    noise_level : float, default=0.3
        Standard deviation, in scaled units, of the Gaussian noise that is added to each
        cell while training. It keeps the codes of neighbours together [2]_.
    linear_penalty : float, default=0.75
        With ``init="pca"``, weight in the loss of the error that the decoder's linear path
        makes alone. It keeps codes readable for linear models and for distances; like the
        noise, it is no part of the held-out loss.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Share of the rows of a batch, those with the largest error, that is left out of
        the loss, so that outliers are not learned [3]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float, default=2e-3
        Learning rate at the beginning.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows a training step; ``"auto"`` takes a twentieth of the rows, within 8 and 256.
    max_epochs : int, default=100
        Largest number of passes through the training rows; 0 keeps the start.
    early_stopping : bool, default=True
        Whether to hold out rows and keep the weights with the lowest loss on them. When
        the loss stalls, training goes back to the best weights with 0.3 of the learning
        rate, twice, and then stops. With 1,000 rows or fewer and a start from PCA, the
        epochs that led to the best weights are then run once more, from PCA of all rows
        and on all rows. Otherwise all epochs are run on all rows, with a learning rate
        that falls to zero along a cosine.
    validation_fraction : float or "auto", default="auto"
        Share of the rows to hold out; ``"auto"`` takes a tenth, but 32 rows if that is
        more and at most a third.
    n_iter_no_change : int, default=20
        Epochs without an improvement of the held-out loss after which it has stalled.
    tol : float, default=1e-3
        Share by which the held-out loss has to fall to count as improved.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights and the scale of the last fit.
    device : str, default="auto"
        Where to compute: ``"cpu"``, ``"cuda"``, …; ``"auto"`` takes a GPU if there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called while training, also when it is repeated on all rows; they are cloned
        first. scikit-learn's own callbacks are set by ``set_callbacks``, and hear of the
        first training only.
    verbose : int, default=0
        With 1, a line is printed after each epoch.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the noise and the order of the rows. Global generators are left
        as they were.
    fine_tune : bool, default=True
        Whether to train the whole network after its layers. Without it nothing is gained
        by rows that are held out: set ``early_stopping=False`` too.
    layer_lr : float, default=1e-2
        Learning rate at the beginning of each layer's training; it falls to zero along a
        cosine. A layer alone stands a larger one than the whole network.
    layer_noise_level : float, default=0.3
        Standard deviation of the Gaussian noise that is added to what a layer sees while
        it is trained alone, in scaled units for the first layer, and in standard deviations
        of all its cells for the others. 0 gives plain layers.

    Attributes
    ----------
    layers_ : list of AutoencoderTransformer
        The layers as they were trained one after the other, the first on rows in the units
        of X, each other on the codes of the one before. Those of the last member where
        several autoencoders are trained side by side.
    n_components_ : int
        Width of the code.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    n_iter_ : int
        Number of epochs run, without those that were repeated on all rows.
    best_epoch_ : int
        Epoch with the lowest held-out loss; 0 is the start.
    loss_curve_ : list of float
        Training loss after each epoch, noise included.
    validation_curve_ : list of float or None
        Held-out loss after each epoch, without noise; None if no rows were held out.
    history_ : skorch.history.History
        Everything that was recorded, each term of the loss by name.
    net_ : skorch.NeuralNet
        The fitted trainer.
    network_ : sk_autoencoder.nn.Network
        The fitted torch module, which sees scaled rows.

    See Also
    --------
    AutoencoderTransformer : All layers trained at once.

    Notes
    -----
    Layers are trained for `max_epochs` epochs each, on all rows that are fitted to, which
    have to fit into memory. The first minimises the `loss`, the others the squared error.

    NOTE[DIFF]: a layer's code is taken before the activation, not behind it as in [1]_; the
    activation is the first thing that the next layer does. So what a layer has to give back
    is not bounded, and no unit of its output can die.

    On five tables of up to 500 rows the R² of held-out rows was 0.002 to 0.18 higher than
    that of ``AutoencoderTransformer`` with these layers from a random start (by more than
    two standard errors on two of them), in twice to four times the time.

    ``partial_fit`` trains the layers on the first batch, and then the whole network.

    References
    ----------
    .. [1] Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle, "Greedy layer-wise training
       of deep networks", NeurIPS 19, 2006.
    .. [2] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [4] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine Learning
       Research 11, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import StackedAutoencoder
    >>> X = load_digits().data
    >>> stacked = StackedAutoencoder(10, max_epochs=20, random_state=0).fit(X[:1000])
    >>> [layer.n_components_ for layer in stacked.layers_]
    [128, 64, 32, 10]
    """

    hidden_layer_sizes: int | Sequence[int] = (128, 64, 32)
    init: str = "random"
    fine_tune: bool = True
    layer_lr: float = 1e-2
    layer_noise_level: float = 0.3

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "fine_tune": ["boolean"],
        "layer_lr": [Interval(Real, 0, None, closed="neither")],
        "layer_noise_level": [Interval(Real, 0, None, closed="left")],
    }

    def _start(
        self, network: Network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        """Train each layer on what the layers before it make of `rows`."""
        several = np.resize(rows.indices, max(len(rows.indices), 2))  # one is not enough
        self.layers_, codes = [], rows.X[several]
        for width, spec in network.layer_specs():
            layer = self._make_layer(width, spec, codes)
            codes = layer.fit_transform(codes)
            self.layers_.append(layer)
        if not self.layers_:
            raise ValueError(
                f"network={self.network!r} cannot be trained layer by layer. Use a "
                "sk_autoencoder.nn.Dense, or AutoencoderTransformer."
            )
        network.load_layers([layer.network_ for layer in self.layers_])
        return self.fine_tune and super()._start(
            network, corruption, rows, n_components, seed
        )

    def _make_layer(self, width: int, spec, codes) -> AutoencoderTransformer:
        is_first = not self.layers_
        layer = AutoencoderTransformer(
            width,
            network=spec,
            init="random",
            loss=self.loss if is_first else "squared_error",
            scaling=self.scaling if is_first else None,
            noise_level=self.layer_noise_level * (1 if is_first else float(codes.std())),
            lr=self.layer_lr,
            early_stopping=False,
            random_state=int(torch.randint(2**31, ())),
            **{name: getattr(self, name) for name in SHARED},
        )
        return layer.set_output(transform="default")  # no frames between layers

    def _make_net(self, module: Autoencoder | Ensemble, callbacks: list) -> AutoencoderNet:
        net = super()._make_net(module, callbacks)
        return net if self.fine_tune else net.set_params(max_epochs=0)
