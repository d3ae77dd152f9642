"""A page about a labelled corpus: shares by group and over time, cues, confidence and sentences.

Everything is counted by DuckDB over the files, so that memory does not grow with the corpus.
"""
