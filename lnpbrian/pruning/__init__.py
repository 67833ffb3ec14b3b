"""Lyapunov noise pruning, and other ways to as small a network; no data of a task is used."""
