"""Behaviour instead of averages: numbered checks on sentences of our own, and the exchange of states."""
