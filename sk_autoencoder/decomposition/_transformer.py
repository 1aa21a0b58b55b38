"""The plain autoencoder."""

from dataclasses import dataclass

from sk_autoencoder.decomposition._ordered import OrderedAutoencoder
from sk_autoencoder.nn._losses import ROW_LOSSES


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderTransformer(OrderedAutoencoder):
    r"""Dimensionality reduction by an autoencoder that starts as PCA.

    An encoder :math:`f` maps each row to a code of `n_components` numbers, and a decoder
    :math:`g` reconstructs the row from its code [1]_. Both are trained together to minimise

    .. math:: \frac1n \sum_i \ell\big(g(f(x_i + \varepsilon_i)), x_i\big)

    where :math:`\ell` is the `loss`, summed over features, and :math:`\varepsilon` is
    Gaussian noise of `noise_level`. With more components than features the code is
    overcomplete.

    Set `n_components` first; then `ordered` or `whiten` for code that expects PCA,
    `scaling` and `loss` by the columns, and `noise_level` for noisy rows. The parameters of
    the network and of training seldom need a change.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=2
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
        each entry. The noise keeps the codes of neighbouring rows together [2]_.
    linear_penalty : float, default=0.75
        Weight of the error that the decoder's linear path makes alone, if training starts
        at PCA. The penalty keeps codes readable for linear models and for distances. The
        validation loss omits it.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest error, that the loss omits,
        so that outliers are not learned [3]_.
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
    max_epochs : int or "auto", default="auto"
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
    sklearn.decomposition.PCA : The best linear autoencoder.

    Notes
    -----
    **Initialisation.** With ``init="pca"`` encoder and decoder get a linear path beside the
    nonlinear one. The linear path starts as PCA of the training rows and the nonlinear one
    at zero. After training the weights are interpolated between PCA (0) and the trained
    weights (1). Validation rows select the interpolation weight among 0, 1/4, 1/2, 3/4 and
    1: the one with the largest lower bound (mean minus 1.5 standard errors) of the decrease
    of their loss. If no bound is positive, or with fewer than 15 validation rows, the
    result is PCA of all rows.

    **Steps.** With ``max_epochs="auto"``, more than 1,000 rows are trained on for a number
    of steps in place of passes: 1,000 steps up to 4,500 rows, 56 passes in batches of 256
    up to 20,000, and with the fourth root of more rows. The learning rate is warmed up
    in the first 5 % of the steps, stays until their half and falls to zero linearly [4]_.
    Validation rows are asked ten times, and the best weights are kept.

    **Early stopping.** Where passes are counted, training returns to the best weights when
    the validation loss stalls, and multiplies the learning rate by 0.3; the third stall
    stops it, or the first if ``max_epochs="auto"`` and no epoch was better than the start.
    After a start from PCA with 1,000 rows or fewer, the epochs that led to the best weights
    are repeated from PCA of all rows, on all rows.

    **Few rows.** With ``max_epochs="auto"``, 1,000 rows or fewer and the dense network,
    three autoencoders are trained side by side that hold out different rows. All held-out
    rows together choose epoch and interpolation weight, and then one autoencoder is trained
    on all rows. The curves are those of the three.

    **Order.** With ``ordered=True`` a second decoder learns to reconstruct rows from any
    number of first components [5]_, and no weights are selected whose first 1, 2, 4, ...
    components reconstruct validation rows worse than as many principal axes.
    ``inverse_transform`` takes the first columns of codes then, ``reconstruct(X,
    n_components=2)`` uses the first two. Training takes about a third longer.

    **Losses.** ``"huber"`` is squared up to one scaled unit and linear beyond.
    ``"binary_cross_entropy"`` needs X in [0, 1], which is not scaled, and has a sigmoid
    output. ``"multinomial"``, with a softmax output, and ``"cosine"`` are for counts and
    tf-idf; both scale each row to one length. A callable takes two tensors of shape (batch,
    n_features) and returns the errors of shape (batch,).

    **Missing values.** A factor model fitted by EM imputes entries that are NaN, a layer
    that sees which are corrects the imputed values, and errors omit missing entries.

    **Precision.** Training runs in float32. Rows of float64 are scaled in float64 and use a
    float64 copy of the weights, so that codes do not depend on the other rows of a batch.

    **Units.** Codes and errors are in scaled units, and ``score`` is R² in them. With
    ``scaling="auto"`` features of different units count equally. Features like pixels are
    only centred: standardising would magnify the noise of pixels that hardly vary.

    **Tables of mixed columns.** A frame with categories, dates or truth values is encoded
    by a :class:`~sk_autoencoder.preprocessing.TableEncoder`, and frames come back. Each
    column has a total variance of one, and the start is factor analysis of mixed data. The
    loss is that of numbers plus twice the cross-entropy of each category.

    **Bounds.** The network sees no entry further outside the range of training rows than
    ten times the width of that range. Errors and scores count such entries as they are.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with
       neural networks", Science 313, 2006.
    .. [2] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [4] S. Hu et al., "MiniCPM: unveiling the potential of small language models with
       scalable training strategies", 2024, section 4.
    .. [5] O. Rippel, M. A. Gelbart and R. P. Adams, "Learning ordered representations with
       nested dropout", ICML 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(10, max_epochs=5, random_state=0)
    >>> autoencoder.fit(X[:1000]).transform(X[1000:]).shape
    (797, 10)
    >>> round(autoencoder.score(X[1000:]), 1)
    0.8
    >>> round(AutoencoderTransformer(10, max_epochs=0).fit(X[:1000]).score(X[1000:]), 1)
    0.7

    One ordered fit serves any number of components:

    >>> ordered = AutoencoderTransformer(4, ordered=True, max_epochs=10, random_state=0)
    >>> codes = ordered.fit_transform(X[:1000])
    >>> ordered.inverse_transform(codes[:, :2]).shape
    (1000, 64)
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.loss not in ROW_LOSSES
        return tags
