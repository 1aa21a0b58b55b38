"""Tables of mixed columns as numbers, and back."""

from sk_autoencoder.preprocessing._frames import is_table, select_columns
from sk_autoencoder.preprocessing._table_encoder import TableEncoder, fit_if_table
from sk_autoencoder.utils._names import set_public_module

__all__ = ["TableEncoder"]

set_public_module(__name__, globals())
