"""How far judges agree: ``framelens-eval agreement``."""
