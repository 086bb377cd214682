"""Sweeps: which cells there are, what each is called, which are done, and what happens around them."""
