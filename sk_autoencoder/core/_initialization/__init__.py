"""Initial weights of networks, from classical linear models."""
