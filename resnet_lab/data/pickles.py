"""Read the Python version of CIFAR: pickle files, of which only arrays, text and numbers are admitted.

Unpickling can call any function, so every name in the file is replaced by a stand-in here. Not even NumPy's own
functions are called, since an array of objects made from bytes would read arbitrary memory.
"""

import io
import pickle
from typing import Any

import numpy as np

Content = dict[bytes, Any]


class _Dtype:
    """Stands for numpy.dtype: bytes or whole numbers."""

    def __init__(self, name: str | bytes, *_: Any) -> None:
        text = name.decode("ascii") if isinstance(name, bytes) else name
        if text.lstrip("|<=") not in ("u1", "i8", "i4"):
            raise pickle.UnpicklingError(f"an array of {text!r:.20}")
        self.dtype = np.dtype(text.lstrip("|<="))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """Stands for an array, whose state follows: (version, shape, dtype, whether in Fortran's order, bytes)."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_, shape, dtype, fortran, data = state
        if not (isinstance(dtype, _Dtype) and isinstance(data, bytes)):
            raise pickle.UnpicklingError("an array of other objects")
        self.array = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("text in another encoding")
    return text.encode("latin1")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which images do not need")
        return _STAND_INS[module, name]


def unpickled(data: bytes) -> Content:
    """Return the dictionary in a pickle file of Python 2 or 3, its keys as bytes. Raises ValueError if it is none."""
    try:
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        keys = {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}
        return {key: value.array if isinstance(value, _Array) else value for key, value in keys.items()}
    except Exception as error:  # a damaged or hostile file raises anything
        raise ValueError(f"not a pickle file of arrays: {error}") from error
