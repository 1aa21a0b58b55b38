"""Estimators in one file, without pickle: a skops file with a seal."""

import hashlib
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from os import PathLike
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from sklearn.base import BaseEstimator

from sk_autoencoder._version import __version__
from sk_autoencoder.persistence._audit import (
    SCHEMA,
    UntrustedError,
    audit,
    find_loss,
    read_schema,
)
from sk_autoencoder.utils._optional import require
from sk_autoencoder.utils._warnings import warn_user

FORMAT = "sk_autoencoder 2"
# The comment at the end of the zip file. The digest is that of all bytes before it.
SEAL = re.compile(rb"(sk_autoencoder \d+), version (\S+), sha256 ([0-9a-f]{64})$")
DIGITS = 64


def save(estimator, path: str | PathLike) -> None:
    """Write an estimator, or a Pipeline of estimators, to one file, without pickle.

    Parameters
    ----------
    estimator : estimator
        Of this library or of scikit-learn, fitted or not.
    path : str or path-like
        The file, by convention ``*.skops``. An existing file is replaced when the new one
        is complete.

    Raises
    ------
    TypeError
        If an attribute can only be pickled, such as a lambda function.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    The file is a `skops <https://skops.readthedocs.io>`_ file: a zip file of arrays in
    numpy's format, and of JSON.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import sk_autoencoder
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> path = Path(mkdtemp()) / "iris.skops"
    >>> autoencoder.save(path)
    >>> bool((sk_autoencoder.load(path).transform(X) == autoencoder.transform(X)).all())
    True
    """
    skops_io = _import_skops()
    try:
        content = skops_io.dumps(estimator)
    except Exception as error:  # skops says what is wrong in many ways, and not where
        where, value = _find_fault(skops_io.dumps, estimator)
        raise _cannot_save(where, f"{value!r:.80}") from error
    if loss := find_loss(content):
        raise _cannot_save(*loss)
    _replace(path, _seal(_shorten(content)))


def load(path: str | PathLike, *, trusted: Collection[str | type | Callable] = ()):
    """Read an estimator from a file that ``save`` has written.

    A file may name classes of this library, estimators of scikit-learn, torch's layers and
    optimizers, and those of skorch's callbacks that use no files. Nothing else is imported,
    and objects are made without their constructors. Look at the parameters of an estimator
    before you fit it again: the ``memory`` of a Pipeline, for one, is a directory.

    Parameters
    ----------
    path : str or path-like
    trusted : collection of str, class or function, default=()
        Other classes and functions that the file may name, such as
        ``["my_module.MyNetwork"]`` or ``[MyNetwork]``.

    Returns
    -------
    estimator : estimator
        On the device that it was saved from, or on the CPU where that is missing.

    Raises
    ------
    ValueError
        If the file is damaged, has another format or names what is not trusted.

    See Also
    --------
    save : Write the file; has an example.
    """
    skops_io = _import_skops()
    content = Path(path).read_bytes()
    _check_seal(content, path)
    try:
        names = audit(content, trusted)
        estimator = skops_io.loads(content, trusted=sorted(names))
    except UntrustedError:
        raise
    except skops_io.exceptions.UntrustedTypesFoundException as error:
        untrusted = set(skops_io.get_untrusted_types(data=content)) - names
        raise UntrustedError(min(untrusted)) from error
    except Exception as error:  # whatever a forged file leads to
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"{path} is damaged: it holds no estimator.")
    return estimator


def _import_skops():
    return require("skops.io", extra="save", purpose="A file without pickle")


def _cannot_save(where: str, what: str) -> TypeError:
    return TypeError(
        f"{where or 'This'} is {what}, which can be pickled at most. Define functions and "
        "classes at the top of a module, or keep the estimator with joblib."
    )


def _find_fault(dumps: Callable, value, where: str = "", outer: tuple = ()):
    """Find the innermost attribute that skops refuses: its path and its value."""
    parts = value if isinstance(value, dict) else getattr(value, "__getstate__", dict)()
    if isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    for name, part in parts.items() if isinstance(parts, dict) else ():
        try:
            dumps(part)
        except Exception:
            path = f"{where}.{name}".lstrip(".")
            if any(part is one for one in outer):  # it holds itself
                return path, part
            return _find_fault(dumps, part, path, (*outer, part))
    return where, value


def _shorten(content: bytes) -> bytes:
    """Compress the JSON of a skops file."""
    buffer = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as source, ZipFile(buffer, "w") as archive:
        for member in source.namelist():
            if member != SCHEMA:
                archive.writestr(member, source.read(member))
        schema = json.dumps(read_schema(source), separators=(",", ":"))
        archive.writestr(SCHEMA, schema, ZIP_DEFLATED)
    return buffer.getvalue()


def _seal(content: bytes) -> bytes:
    """Add format, version and digest to the bytes of a zip file."""
    buffer = io.BytesIO(content)
    with ZipFile(buffer, "a") as archive:
        head = f"{FORMAT}, version {__version__}, sha256 "
        archive.comment = head.encode() + b"0" * DIGITS
    unsigned = buffer.getvalue()[:-DIGITS]
    return unsigned + hashlib.sha256(unsigned).hexdigest().encode()


def _check_seal(content: bytes, path) -> None:
    """Check that a file is whole and of this format."""
    seal = SEAL.search(content[-200:])
    if seal is None:
        raise ValueError(f"{path} is not a file that save of sk_autoencoder has written.")
    format_, version, digest = (part.decode(errors="replace") for part in seal.groups())
    if format_ != FORMAT:
        raise ValueError(
            f"{path} has the format {format_!r}, written by sk_autoencoder {version}, and "
            f"version {__version__} reads {FORMAT!r}. Use that version."
        )
    if hashlib.sha256(content[:-DIGITS]).hexdigest() != digest:
        raise ValueError(f"{path} is damaged: it is not as it was written.")
    if version != __version__:
        warn_user(
            f"{path} was written by sk_autoencoder {version}, and this is {__version__}: "
            "check what the estimator gives, or fit it again.",
        )


def _replace(path: str | PathLike, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
