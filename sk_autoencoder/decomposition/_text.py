"""The autoencoder for documents."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sk_autoencoder.decomposition._ordered import OrderedAutoencoder


@dataclass(kw_only=True, eq=False, repr=False)
class TextAutoencoder(OrderedAutoencoder):
    r"""Dimensionality reduction of documents, from the counts or the tf-idf of their terms.

    The class replaces ``TruncatedSVD`` after ``TfidfVectorizer`` (latent semantic analysis
    [1]_). Training starts at the principal axes of the documents, scaled to one length, and
    minimises

    .. math:: -\frac1n \sum_i \sum_j s_{ij} \log p_{ij}, \quad
       s_{ij} = \frac{x_{ij}}{\sum_k x_{ik}}, \quad
       p_i = \mathrm{softmax}\big(g(f(x_i))\big)

    with encoder :math:`f` and decoder :math:`g`. The terms of a document are samples of a
    multinomial distribution with probabilities :math:`p_i` [2]_.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=100
        Number of components of the code. A float takes the fewest with which PCA explains
        more than that fraction of the variance; None takes ``min(n_samples, n_features)``,
        as PCA does.
    hidden_layer_sizes : int or sequence of int, default=(128, 64)
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
    init : {"pca", "random"}, default="pca"
        ``"pca"`` adds a linear path that starts as PCA, and validation rows select how far
        training leaves PCA (Notes of :class:`AutoencoderTransformer`). ``"random"`` gives
        the network alone.
    loss : str or callable, default="multinomial"
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
    lr : float or "auto", default=1e-3
        Largest learning rate. ``"auto"`` is 1e-2 where ``max_epochs="auto"`` counts steps,
        and 2e-3 elsewhere.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows of a training step; ``"auto"`` takes a twentieth of the rows, within 8 (32 with
        ``max_epochs="auto"``) and 256.
    max_epochs : int or "auto", default=30
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
    n_iter_no_change : int, default=5
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
    ordered : bool, default=False
        Whether the first components reconstruct as well as they can without the others, as
        those of PCA do (Notes of :class:`AutoencoderTransformer`). For a float
        `n_components`, several fits find the fewest that explain that fraction.
    whiten : bool, default=False
        Whether the codes of training rows get unit variance and no correlation, by a
        triangular map that changes no reconstruction.

    Attributes
    ----------
    n_components_ : int
        Number of components of the code.
    components_ : ndarray of shape (`n_components_`, `n_features_in_`)
        With `ordered`, the derivative of a decoded row by each component, at the mean row,
        in the units of X.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        With `ordered`, the R² that each component adds to those before it, of validation
        rows if there are any.
    explained_variance_ : ndarray of shape (`n_components_`,)
        With `ordered`, those shares of the total variance, in squared scaled units.
    noise_variance_ : float
        With `ordered`, the rest of that variance, for each dimension that is left.
    mean_ : ndarray of shape (`n_features_in_`,)
        With `ordered`, the mean of each column of the training rows.
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
    sklearn.decomposition.TruncatedSVD : Latent semantic analysis.
    sklearn.feature_extraction.text.TfidfVectorizer : Rows from texts.

    Notes
    -----
    The loss is not the squared error, since most entries of tf-idf are zero: there the
    squared error gains little over ``TruncatedSVD``.

    With ``loss="multinomial"`` or ``"cosine"`` codes do not depend on the length of a
    document. ``inverse_transform`` gives documents of the mean total (or norm), and
    ``reconstruct`` documents of the row's own. Sparse rows are made dense a batch at a
    time.

    With ``ordered=True`` the shares of the variance are those of documents of one length.
    The loss is another error, so that a component may take a little of the variance away.

    References
    ----------
    .. [1] S. Deerwester et al., "Indexing by latent semantic analysis", Journal of the
       American Society for Information Science 41, 1990.
    .. [2] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara, "Variational autoencoders
       for collaborative filtering", WWW 2018, equation 2.
    .. [3] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [4] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_autoencoder import TextAutoencoder
    >>> texts = ["a cat sat down", "the cat sleeps", "stocks fell", "stocks rose"] * 10
    >>> autoencoder = TextAutoencoder(2, random_state=0)
    >>> make_pipeline(TfidfVectorizer(), autoencoder).fit_transform(texts).shape
    (40, 2)
    """

    n_components: int | float | None = field(default=100, kw_only=False)
    loss: str | Callable = "multinomial"
    lr: float = 1e-3
    max_epochs: int = 30
    n_iter_no_change: int = 5
    categorical_features: Any = field(default=None, init=False)

    _parameter_constraints: ClassVar[dict] = {**OrderedAutoencoder._parameter_constraints}
    del _parameter_constraints["categorical_features"]
