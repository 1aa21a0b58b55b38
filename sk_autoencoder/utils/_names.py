"""Public paths of classes and functions."""

from types import FunctionType


def set_public_module(package: str, namespace: dict) -> None:
    """Name a package as the module of the classes and functions in its namespace.

    Pickles and saved files then hold ``sk_autoencoder.nn.Scaler``, whichever private module
    defines it, and stay readable when the class moves.

    Parameters
    ----------
    package : str
        The ``__name__`` of a package, such as "sk_autoencoder.nn".
    namespace : dict
        Its ``globals()``. What is defined outside the package is left alone.
    """
    for value in list(namespace.values()):
        if isinstance(value, type | FunctionType) and value.__module__.startswith(
            f"{package}."
        ):
            value.__module__ = package
