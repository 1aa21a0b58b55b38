"""What a variational autoencoder with a linear decoder says of rows, exactly."""

import numpy as np


def linear_moments(vae):
    """Return the mean and the covariance of rows under a fitted model."""
    mean = vae.inverse_transform(np.zeros((1, vae.n_components_)))[0]
    factors = vae.inverse_transform(np.eye(vae.n_components_)) - mean
    likelihood = vae.network_.likelihood
    noise = (likelihood.scale**2 * likelihood.variance).detach().double().numpy()
    return mean, factors.T @ factors + np.diag(noise)
