"""Imports of the packages of an extra."""

from importlib import import_module
from types import ModuleType

DISTRIBUTIONS = {"skimage": "scikit-image"}  # whose packages have another name


def require(*modules: str, extra: str, purpose: str) -> ModuleType:
    """Import `modules` and return the first.

    Parameters
    ----------
    *modules : str
        Full names.
    extra : str
        The extra that installs their packages.
    purpose : str
        What needs them; the error begins with it.

    Raises
    ------
    ImportError
        If one is missing. It says how to install the extra.
    """
    try:
        first, *_ = map(import_module, modules)
    except ImportError as error:
        packages = [module.partition(".")[0] for module in modules]
        names = ", ".join(DISTRIBUTIONS.get(package, package) for package in packages)
        raise ImportError(
            f"{purpose} needs {names}: pip install 'sk-autoencoder[{extra}]', or from a "
            f"checkout: pip install -c constraints.txt '.[{extra}]'"
        ) from error
    return first
