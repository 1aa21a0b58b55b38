"""Estimators in one file, without pickle."""

import hashlib
import json
import warnings
from collections.abc import Callable, Collection
from os import PathLike
from pathlib import Path

from sklearn.base import BaseEstimator

from sk_autoencoder._version import __version__
from sk_autoencoder.persistence import _plain
from sk_autoencoder.persistence._trust import UntrustedError, name_of
from sk_autoencoder.utils._optional import require

FORMAT = "sk_autoencoder 1"
PLAIN = "_plain"  # what was learned, among the state of an estimator
UNSIGNED = "0" * 64  # stands for the digest while it is computed


class Savable:
    """What an estimator inherits to be saved, and copied and pickled as plain data.

    What was learned is plain data in pickles too, on the CPU. Where that may not be, as
    with networks of the user's own, it is left to pickle.
    """

    def __getstate__(self):
        state = super().__getstate__()
        given = {*self.get_params(deep=False), "_sklearn_version"}
        learned = {k: v for k, v in state.items() if k not in given}
        try:
            plain = _plain.write(learned)
        except TypeError:
            return state
        if not (learned and plain.is_trusted):
            return state
        kept = {k: v for k, v in state.items() if k not in learned}
        return kept | {PLAIN: {"graph": plain.graph, "arrays": plain.arrays}}

    def __setstate__(self, state):
        kept = {k: v for k, v in state.items() if k != PLAIN}
        super().__setstate__(kept)
        if PLAIN in state:
            vars(self).update(_plain.read(**state[PLAIN]))

    def save(self, path: str | PathLike) -> None:
        """Write the estimator into one file, without pickle.

        Parameters
        ----------
        path : str or path-like
            The file, by convention ``*.safetensors``; replaced if it exists.

        Raises
        ------
        TypeError
            If a part can only be pickled, such as a lambda function.

        See Also
        --------
        sk_autoencoder.load : Reads it.
        """
        save(self, path)


def save(estimator, path: str | PathLike) -> None:
    """Write an estimator, or a Pipeline of estimators, into one file, without pickle.

    Parameters
    ----------
    estimator : estimator
        Any of this library, fitted or not, also within a Pipeline or another estimator of
        scikit-learn whose parts are numbers, arrays and estimators.
    path : str or path-like
        The file, by convention ``*.safetensors``; replaced if it exists.

    Raises
    ------
    TypeError
        If a part can only be pickled, such as a lambda function or a tree.

    See Also
    --------
    load : Reads it.

    Notes
    -----
    The file is a safetensors file: weights and other arrays under their names, which other
    programs can read; all else as JSON in its metadata.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import sk_autoencoder
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> autoencoder = AutoencoderTransformer(random_state=0).fit(X)
    >>> path = Path(mkdtemp()) / "iris.safetensors"
    >>> autoencoder.save(path)
    >>> bool((sk_autoencoder.load(path).transform(X) == autoencoder.transform(X)).all())
    True
    """
    from_safetensors = _import_safetensors()
    plain = _plain.write(estimator)
    metadata = {
        "format": FORMAT,
        "version": __version__,
        "digest": UNSIGNED,
        "estimator": plain.graph,
    }
    blob = from_safetensors.save(plain.arrays, metadata)
    Path(path).write_bytes(blob.replace(UNSIGNED.encode(), _digest(blob).encode(), 1))


def load(path: str | PathLike, *, trusted: Collection[str | type | Callable] = ()):
    """Read an estimator from a file that ``save`` has written.

    No function that the file names is called, and objects are made without their
    constructors. It may name classes of this library, estimators of scikit-learn, torch's
    layers and optimizers, and those of skorch's callbacks that use no files; others, like
    networks of your own, have to be trusted. What a loaded estimator does in ``fit`` is
    up to its parameters: look at them first, as at the ``memory`` of a Pipeline.

    Parameters
    ----------
    path : str or path-like
    trusted : collection of str, class or function, default=()
        Classes and functions that the file may name besides, such as
        ``["my_module.MyNetwork"]`` or ``[MyNetwork]``.

    Returns
    -------
    estimator : estimator
        On the device that it was saved from, or on the CPU where that is not there.

    Raises
    ------
    ValueError
        If the file is damaged, no such file, or of another version of the format; or if it
        names what is not trusted.

    See Also
    --------
    save : Writes it; has an example.
    """
    from_safetensors = _import_safetensors()
    blob = Path(path).read_bytes()
    metadata = _read_metadata(blob, path)
    names = [each if isinstance(each, str) else name_of(each) for each in trusted]
    try:
        found = _plain.read(metadata["estimator"], from_safetensors.load(blob), names)
    except UntrustedError:
        raise
    except Exception as error:  # whatever a forged file leads to
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(found, BaseEstimator):
        raise ValueError(f"{path} is damaged: it holds no estimator.")
    return found


def _import_safetensors():
    return require("safetensors.numpy", extra="save", purpose="A file without pickle")


def _read_metadata(blob: bytes, path) -> dict[str, str]:
    """Return the metadata of a file, if it is whole and of this format."""
    length = int.from_bytes(blob[:8], "little")
    try:
        metadata = json.loads(blob[8 : 8 + length])["__metadata__"]
        found, version, digest = (metadata[k] for k in ("format", "version", "digest"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a file that save of sk_autoencoder has written."
        ) from error
    if found != FORMAT:
        raise ValueError(
            f"{path} has the format {found!r}, written by sk_autoencoder {version}, and "
            f"version {__version__} reads {FORMAT!r}. Use that version."
        )
    if _digest(blob.replace(str(digest).encode(), UNSIGNED.encode(), 1)) != digest:
        raise ValueError(f"{path} is damaged: it is not as it was written.")
    if version != __version__:
        warnings.warn(
            f"{path} was written by sk_autoencoder {version}, and this is {__version__}: "
            "check what the estimator gives, or fit it again.",
            stacklevel=3,
        )
    return metadata


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()
