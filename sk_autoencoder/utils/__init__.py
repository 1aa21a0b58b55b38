"""Scikit-learn's private names, checks, random state, threads, pipelines."""
