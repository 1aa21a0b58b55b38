"""The engine: rows, scaling, initialisation, training and inference of any autoencoder."""
