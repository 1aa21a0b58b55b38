"""Imputation of missing values."""

from sk_autoencoder.impute._imputer import AutoencoderImputer

__all__ = ["AutoencoderImputer"]
