"""Measures how often a labeller of news sentences is wrong, beside baselines and with intervals.

A folder for each command of ``framelens-eval`` (`run`, `compare`, `agreement`, `audit`, `bench`,
`prevalence`, `corpus`), and below them:

* `framelens_evaluation.inputs`: gold sentences, and whatever can be measured behind one protocol;
* `framelens_evaluation.statistics`: scores, intervals and tests, as functions of arrays;
* `framelens_evaluation.reporting`: one document, rendered as a page and as Markdown.
"""
