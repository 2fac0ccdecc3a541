"""From a `Model` to pure functions of arrays."""

from twin.compile.system import System, compile_model

__all__ = ["System", "compile_model"]
