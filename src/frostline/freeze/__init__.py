"""Freezing: pure rules that say which parameters train, and the callback that applies them."""
