"""A GPU in name only: tensors on `cuda:0` whose numbers are on the CPU.

Operations on tensors of both devices fail, as on a GPU, and whatever crosses between the devices is logged. All this
needs the library that is made from cuda.cpp, and leaves its marks in the process.
"""

import sys
from collections import Counter
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map_only

import resnet_lab
from support.graphs import EMULATED, tensors, waits

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
LAB = str(Path(resnet_lab.__file__).parent) + "/"
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
BYTES = 2**40


class CudaTensor(Tensor):
    """A tensor on `cuda:0`, with its numbers in `host`."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "CudaTensor":
        layout = {"strides": host.stride(), "storage_offset": host.storage_offset(), "dtype": host.dtype}
        made = Tensor._make_wrapper_subclass(cls, host.size(), device=CUDA, **layout)
        made.host = host
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> Any:
        raise AssertionError(f"{func} outside of CudaMode")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.cpu().__reduce_ex__(protocol)  # as if it were loaded with map_location="cpu"


class CudaMode(TorchDispatchMode):
    """All operations; `log` counts what crosses between the devices, and the function of the lab that asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.log: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {name: value for name, value in (kwargs or {}).items() if name != "pin_memory"}  # which needs CUDA
        given = tensors((args, kwargs))
        on_cuda = [isinstance(tensor, CudaTensor) for tensor in given]
        target = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
        if not any(on_cuda) and target != "cuda":
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():  # operations arrive here before they are taken apart
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if any(on_cuda) and func not in COPIES:
            self.refuse_mixed(func, [tensor for tensor in given if not isinstance(tensor, CudaTensor)])
        if waits(func, args):
            self.log[f"wait: {place()}"] += 1
        here = kwargs | ({"device": CPU} if target == "cuda" else {})
        result = func(*tree_map_only(CudaTensor, host, args), **tree_map_only(CudaTensor, host, here))
        # A copy stays where its source or target is, unless it names a device; all else is computed on the GPU.
        to_cuda = target == "cuda" if target else on_cuda[0] or func not in COPIES
        if func in COPIES and {to_cuda} != {*on_cuda}:
            self.log[f"{'to device' if to_cuda else 'to host'}: {place()}"] += 1
        if not to_cuda:
            return result
        wrapped = tree_map_only(Tensor, CudaTensor, result)
        return return_and_correct_aliasing(func, args, kwargs, wrapped)

    def refuse_mixed(self, func: Any, others: list[Tensor]) -> None:
        """Raise what CUDA raises; single numbers may be on the CPU in operations on each element."""
        if any(other.ndim or torch.Tag.pointwise not in func.tags for other in others):
            raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda:0 and cpu, in {func}")


def host(tensor: CudaTensor) -> Tensor:
    return tensor.host


def place() -> str:
    """The innermost function of the lab that is running."""
    frame: FrameType | None = sys._getframe()
    while frame and not frame.f_code.co_filename.startswith(LAB):
        frame = frame.f_back
    if frame is None:
        return "elsewhere"
    name = frame.f_code.co_qualname.split(".<locals>")[0]
    return f"{frame.f_code.co_filename.removeprefix(LAB)} {name}"


PRETENDED = EMULATED | {
    "_lazy_init": lambda: None,
    "current_device": lambda: 0,
    "device_count": lambda: 1,
    "get_device_capability": lambda *_: (9, 0),
    "get_device_name": lambda *_: "a GPU in name only",
    "get_device_properties": lambda *_: SimpleNamespace(total_memory=BYTES),
    "get_rng_state": lambda *_: torch.get_rng_state(),
    "is_available": lambda: True,
    "is_bf16_supported": lambda including_emulation=True: True,
    "max_memory_allocated": lambda: 0,
    "max_memory_reserved": lambda: 0,
    "mem_get_info": lambda *_: (BYTES, BYTES),
    "reset_peak_memory_stats": lambda: None,
    "set_device": lambda *_: None,
    "set_rng_state": lambda state, *_: torch.set_rng_state(state),
}


def pretend() -> None:
    """Make torch believe that there is a GPU."""
    for name, stand_in in PRETENDED.items():
        setattr(torch.cuda, name, stand_in)
    Tensor.pin_memory = lambda tensor: tensor  # type: ignore[assignment]
    Tensor.record_stream = lambda *_: None  # type: ignore[assignment]
    torch.autograd.set_multithreading_enabled(False)  # backward passes, too, run where the mode is
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a tensor cannot become a CudaTensor in place
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="cuda") copies where the mode sees it
