"""Files without pickle, and the state that estimators are pickled and copied by."""

from sk_autoencoder.persistence._files import load, save
from sk_autoencoder.persistence._state import HeldObject, HeldTensor, PersistenceMixin
from sk_autoencoder.utils._names import set_public_module

__all__ = ["HeldObject", "HeldTensor", "PersistenceMixin", "load", "save"]

set_public_module(__name__, globals())
