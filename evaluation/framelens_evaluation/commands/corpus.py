"""``framelens-eval corpus``."""
