"""Measures how often framelens is wrong, beside baselines and with intervals.

* `framelens_evaluation.dataset`: gold sentences from a file;
* `framelens_evaluation.metrics`: counts and the scores computed from them;
* `framelens_evaluation.words`: agreement of evidence with a gold cue;
* `framelens_evaluation.bootstrap`: intervals by resampling articles;
* `framelens_evaluation.baselines`: what a model must beat;
* `framelens_evaluation.run`: all of it on one data set, giving a `framelens_evaluation.report`;
* `framelens_evaluation.speed`: sentences a second beside a plain Hugging Face pipeline.
"""
