"""What the options of the command can be."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["BackendChoice", "Engine", "Format", "OnError", "PrecisionChoice", "Unit"]


class Unit(StrEnum):
    """What one text of the input is."""

    AUTO = "auto"
    SENTENCE = "sentence"
    DOCUMENT = "document"


class BackendChoice(StrEnum):
    """What runs the model."""

    ONNX = "onnx"
    TORCH = "torch"


class PrecisionChoice(StrEnum):
    """What the model computes in."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class Engine(StrEnum):
    """Where the workers of a job run."""

    LOCAL = "local"
    RAY = "ray"


class OnError(StrEnum):
    """What becomes of a record that cannot be read."""

    FLAG = "flag"
    FAIL = "fail"


class Format(StrEnum):
    """What the output looks like."""

    TEXT = "text"
    SVG = "svg"
    HTML = "html"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
