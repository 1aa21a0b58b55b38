"""The stacked autoencoder: layers trained one after the other, then together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import ClassVar

import numpy as np

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import select
from sk_autoencoder.core._inference import encode
from sk_autoencoder.core._recipe import Initialization, Member, Recipe
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.utils._constraints import noise
from sk_autoencoder.utils._random import draw_torch_seed
from sk_autoencoder.utils._sklearn_compat import Interval

LAYER_PARAMETERS = (  # that layers have in common with the whole network
    "l1_penalty",
    "trim_fraction",
    "optimizer",
    "weight_decay",
    "batch_size",
    "max_epochs",
    "device",
    "verbose",
)


@dataclass(kw_only=True, eq=False, repr=False)
class StackedAutoencoder(BaseAutoencoder):
    r"""Dimensionality reduction by an autoencoder that is trained layer by layer.

    Each layer :math:`f_l` of the encoder is first trained with its mirror :math:`g_l` in
    the decoder as an autoencoder of the codes of the layers before it [1]_, with noise on
    its input [2]_:

    .. math:: \frac1n \sum_i \ell\big(g_l(f_l(h_i + \varepsilon_i)), h_i\big),
        \quad h_i = f_{l-1}(\dots f_1(x_i))

    The layers then initialise a deep network :math:`f_L \circ \dots \circ f_1`, which is
    trained as a whole. Of rows that are read in chunks, layers see a random sample of
    32 MiB.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=2
        Number of components of the code. A float takes the fewest with which PCA explains
        more than that fraction of the variance; None takes ``min(n_samples, n_features)``,
        as PCA does.
    hidden_layer_sizes : int or sequence of int, default=(128, 64, 32)
        Widths of the encoder's hidden layers; the decoder mirrors them. An empty sequence
        gives a linear autoencoder.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Probability with which a training step drops a hidden unit.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    network : callable, pair of torch modules or None, default=None
        ``(n_features, n_components) -> sk_autoencoder.nn.Network`` in place of the dense
        network of the four parameters above, or a pair (encoder, decoder) of which each fit
        trains copies. The network sees scaled rows.
    init : {"pca", "random"}, default="random"
        ``"random"`` trains the layers as they are. ``"pca"`` adds a linear path that starts
        as PCA and sets the last layer of encoder and decoder to zero, as in
        :class:`AutoencoderTransformer`. Without `fine_tune` it has no effect.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``,
        ``"binary_cross_entropy"``, ``"multinomial"``, ``"cosine"`` (Notes of
        :class:`AutoencoderTransformer`) or ``(output, x) -> error of each row``, in torch.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        ``"standard"`` divides each centred feature by its standard deviation, ``"global"``
        by the root of their mean variance. ``"auto"`` is ``"global"`` for features like
        pixels (Notes of :class:`AutoencoderTransformer`), else ``"standard"``. None does
        not scale.
    noise_level : float, default=0.3
        Standard deviation, in scaled units, of the Gaussian noise that training adds to
        each entry. The noise keeps the codes of neighbouring rows together [3]_.
    linear_penalty : float, default=0.75
        Weight of the error that the decoder's linear path makes alone, if training starts
        at PCA. The penalty keeps codes readable for linear models and for distances. The
        validation loss omits it.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest error, that the loss omits,
        so that outliers are not learned [4]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float or "auto", default="auto"
        Largest learning rate. ``"auto"`` is 1e-2 where ``max_epochs="auto"`` counts steps,
        and 2e-3 elsewhere.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows of a training step; ``"auto"`` takes a twentieth of the rows, within 8 (32 with
        ``max_epochs="auto"``) and 256.
    max_epochs : int or "auto", default=100
        Largest number of passes through the training rows; 0 keeps the initial weights.
        ``"auto"`` is 100 up to 1,000 rows; more rows get a number of steps (Notes of
        :class:`AutoencoderTransformer`).
    early_stopping : bool, default=True
        Whether to set validation rows aside, keep the weights with the lowest loss on them
        and stop when that loss stalls (Notes of :class:`AutoencoderTransformer`). Otherwise
        all epochs run on all rows, with a learning rate that falls to zero.
    validation_fraction : float or "auto", default="auto"
        Fraction of the rows for validation; ``"auto"`` takes a tenth, but 32 rows if that
        is more and at most a third.
    n_iter_no_change : int, default=20
        Epochs without an improvement after which the validation loss has stalled. Training
        in steps never stalls.
    tol : float, default=1e-3
        Relative decrease of the validation loss that counts as an improvement.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights and the scaling of the previous fit.
    device : str, default="auto"
        Where to compute, such as ``"cpu"``; ``"auto"`` takes a GPU if there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called while training, also when it is repeated on all rows; ``fit`` clones them.
        ``set_callbacks`` sets scikit-learn's callbacks, which follow the first training
        only.
    verbose : int, default=0
        With 1, each epoch prints one loss of training rows and one of held-out rows,
        without noise, and the seconds left at most. With 2 it prints all terms of the
        training loss.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the noise and the order of rows. None takes the seed from numpy's
        global generator, as scikit-learn does. torch's generators do not change.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories: a mask, indices or names. ``"from_dtype"`` takes
        columns of text and of categorical dtypes, and encodes booleans, dates and durations
        too. None takes all columns for numbers.
    fine_tune : bool, default=True
        Whether to train the whole network after its layers. Without it validation rows gain
        nothing: set ``early_stopping=False`` too.
    layer_lr : float, default=1e-2
        Initial learning rate of each layer's training; it falls to zero along a cosine. A
        single layer tolerates a larger one than the whole network.
    layer_noise_level : float, default=0.3
        Standard deviation of the Gaussian noise on the input of a layer that is trained
        alone: in scaled units for the first layer, in standard deviations of all its
        entries for the others. 0 adds none.

    Attributes
    ----------
    layers_ : list of AutoencoderTransformer
        The layers in the order of their training, the first on rows in the units of X, the
        others on the codes of the layer before. An ensemble keeps those of its last member.
    n_components_ : int
        Number of components of the code.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    table_ : sk_autoencoder.preprocessing.TableEncoder or None
        Encoder of a table of mixed columns; None after a fit to numbers.
    n_iter_ : int
        Number of epochs run, without those that were repeated on all rows. An epoch is a
        pass, or a tenth of the steps.
    best_epoch_ : int
        Epoch with the lowest validation loss; 0 stands for the initial weights.
    loss_curve_ : list of float
        Training loss after each epoch, noise included.
    validation_curve_ : list of float or None
        Validation loss after each epoch, without noise; None without validation rows.
    fit_summary_ : dict
        Figures of the fit: `epochs`, `steps`, `seconds`, `validation_loss` of the final
        weights, `start_loss` of the initial ones, and their name `start`, such as "PCA".
    history_ : skorch.history.History
        All that skorch recorded: each term of the loss by name, and the ``"steps"`` and
        ``"passes"`` through the rows of each epoch.
    net_ : skorch.NeuralNet
        The fitted trainer.
    network_ : sk_autoencoder.nn.Network
        The fitted torch module, which sees scaled rows.

    See Also
    --------
    AutoencoderTransformer : All layers trained at once.

    Notes
    -----
    Each layer is trained for `max_epochs` epochs on all training rows, which have to fit
    into memory. The first layer minimises the `loss`, the others the squared error.

    NOTE[DIFF]: the code of a layer is taken before the activation, not after it as in [1]_;
    the next layer begins with the activation. The target of a layer is therefore unbounded,
    and no unit of its output can die.

    ``partial_fit`` trains the layers on the first batch, and then the whole network.

    References
    ----------
    .. [1] Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle, "Greedy layer-wise training
       of deep networks", NeurIPS 19, 2006.
    .. [2] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine Learning
       Research 11, 2010.
    .. [3] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [4] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import StackedAutoencoder
    >>> X = load_digits().data
    >>> stacked = StackedAutoencoder(10, max_epochs=3, random_state=0).fit(X[:500])
    >>> [layer.n_components_ for layer in stacked.layers_]
    [128, 64, 32, 10]
    """

    hidden_layer_sizes: int | Sequence[int] = (128, 64, 32)
    init: str = "random"
    max_epochs: int | str = 100
    fine_tune: bool = True
    layer_lr: float = 1e-2
    layer_noise_level: float = 0.3

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "fine_tune": ["boolean"],
        "layer_lr": [Interval(Real, 0, None, closed="neither")],
        "layer_noise_level": [noise()],
    }

    def make_recipe(self) -> Recipe:
        """Train each layer before the whole network."""
        recipe = super().make_recipe()

        def train_layers(member: Member) -> Initialization:
            layers = self._train_layers(member)
            start = recipe.initialize(member) if self.fine_tune else Initialization()
            return start._replace(learned={"layers_": layers})

        if not self.fine_tune:
            schedule = replace(recipe.schedule, max_epochs=0)
            recipe = replace(recipe, schedule=schedule)
        return replace(recipe, initialize=train_layers)

    def _train_layers(self, member: Member) -> list[AutoencoderTransformer]:
        """Train each layer on the codes that the layers before it give the rows."""
        # A layer needs two rows: a single one is repeated.
        indices = member.rows.indices
        indices = np.resize(indices, max(len(indices), 2))
        layers, codes = [], member.rows.X[indices]
        weight = select(member.rows.source.weight, indices)
        for width, spec in member.network.layer_specs():
            layer = self._make_layer(width, spec, codes, is_first=not layers)
            try:
                table = None if layers else self._table
                layer.fit_members(codes, np.arange(codes.shape[0]), table, weight)
                codes = layer.map_encoded(encode, codes)
            except ValueError as error:
                raise ValueError(
                    f"Layer {len(layers) + 1} was not trained, with layer_lr="
                    f"{self.layer_lr} and layer_noise_level={self.layer_noise_level}: "
                    f"{error}"
                ) from error
            layers.append(layer)
        if not layers:
            raise ValueError(
                f"network={self.network!r} cannot be trained layer by layer. Use a "
                "sk_autoencoder.nn.Dense, or AutoencoderTransformer."
            )
        member.network.load_layers([layer.network_ for layer in layers])
        return layers

    def _make_layer(
        self, width: int, spec, codes, *, is_first: bool
    ) -> AutoencoderTransformer:
        return AutoencoderTransformer(
            width,
            network=spec,
            init="random",
            loss=self.loss if is_first else "squared_error",
            scaling=self.scaling if is_first else None,
            noise_level=self.layer_noise_level * (1 if is_first else float(codes.std())),
            lr=self.layer_lr,
            early_stopping=False,
            random_state=draw_torch_seed(),
            **{name: getattr(self, name) for name in LAYER_PARAMETERS},
        )
