"""The errors that framelens raises on purpose.

::

    FramelensError
    ├── InputError         (ValueError)  a text, file, column or argument that cannot be used
    ├── JobError           (OSError)     a job that another process runs, or whose workers died
    ├── ModelFormatError   (ValueError)  a model directory that is incomplete or of another kind
    ├── ModelNotFoundError (OSError)     a model that is not where it was looked for
    └── MissingExtraError  (OSError)     an optional dependency that is not installed

Each message says what was expected, what was got and what to do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "FramelensError",
    "InputError",
    "JobError",
    "MissingExtraError",
    "ModelFormatError",
    "ModelNotFoundError",
    "require",
]


class FramelensError(Exception):
    """Base of every error that framelens raises on purpose."""


class InputError(FramelensError, ValueError):
    """A text, file, column or argument that cannot be used."""


class JobError(FramelensError, OSError):
    """A job that cannot go on here and now: another process runs it, or its workers died."""


class ModelFormatError(FramelensError, ValueError):
    """A model directory that is incomplete, damaged or of another kind."""


class ModelNotFoundError(FramelensError, OSError):
    """A model that is not where it was looked for."""


class MissingExtraError(FramelensError, OSError):
    """An optional dependency that is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: dotted name of the module, such as ``"torch"``.
        extra: name of the framelens extra that installs it.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        # A missing module *inside* an installed dependency is that package's bug, not a missing extra.
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{module} is needed for this and is not installed: pip install 'framelens[{extra}]'"
        ) from error
