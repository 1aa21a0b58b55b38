"""Public paths of classes and functions."""

from importlib import import_module
from pkgutil import walk_packages
from types import FunctionType


def set_public_module(package: str, namespace: dict) -> None:
    """Name a package as the module of all classes and functions that it defines.

    Pickles and saved files then hold ``sk_autoencoder.nn.Scaler``, whichever private module
    defines the class, and stay readable when the class moves. Definitions of private
    modules are added to the namespace, where files find them; ``__all__`` lists the public
    ones.

    Parameters
    ----------
    package : str
        The ``__name__`` of a package, such as "sk_autoencoder.nn".
    namespace : dict
        Its ``globals()``.
    """
    for info in walk_packages(namespace["__path__"], f"{package}."):
        for key, value in vars(import_module(info.name)).items():
            if getattr(value, "__module__", None) == info.name and key[0] != "_":
                namespace.setdefault(key, value)
    publish(package, namespace)


def publish(package: str, namespace: dict) -> None:
    """Name `package` as the module of the classes and functions in its namespace."""
    for key, value in namespace.items():
        is_definition = isinstance(value, type | FunctionType) and value.__name__ == key
        if is_definition and value.__module__.startswith(f"{package}."):
            value.__module__ = package
