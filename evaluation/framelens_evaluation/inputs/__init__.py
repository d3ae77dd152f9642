"""Gold sentences, and systems behind one protocol."""
