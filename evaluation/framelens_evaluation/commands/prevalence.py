"""``framelens-eval prevalence``."""
