def test_x(tiny_run):
    print(tiny_run)
    import os
    print({p.name:(p.stat().st_size,oct(p.stat().st_mode)) for p in tiny_run.bundle.iterdir()})
    print((tiny_run.bundle/'config.json').read_text(), (tiny_run.bundle/'tokenizer_config.json').read_text())
    print((tiny_run.folder/'splits/counts.json').read_text())
    print((tiny_run.folder/'splits/dev.jsonl').read_text()[:900])
    from transformers import pipeline
    import framelens.hf
    p=pipeline("text-classification", model=str(tiny_run.bundle)); print(p(["Our rangers won.","x is it"], top_k=None))
