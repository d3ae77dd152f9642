"""Public benchmarks: what our encoder knows, on data that others annotated and published figures for.

* `framelens_evaluation.bench.tasks` reads the declarations, one TOML file a task in ``declarations/``;
* `framelens_evaluation.bench.data` reads a task's sentences and makes its splits;
* `framelens_evaluation.bench.methods`, `encoder` and `finetune` are what is measured;
* `framelens_evaluation.bench.run` measures, `report` types the result, `page` lays it out.

No text of any benchmark ships with the package.
"""
