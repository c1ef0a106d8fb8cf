"""One suite for every backend: what a port's docstrings promise, each of its adapters keeps."""
