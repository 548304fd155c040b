"""A bare PyTorch loop that follows all common advice, but keeps the DataLoader: what a tuned script does."""

import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.implementations import Observer, Trained
from benchmarks.implementations.loading import loader
from benchmarks.task import Task

MOST_WORKERS = 8


def train(task: Task, observer: Observer) -> Trained:
    return train_network(task, observer, task.network())


def train_network(task: Task, observer: Observer, net: nn.Module) -> Trained:
    """Train in bf16 if the hardware supports it, with channels-last, fused SGD, compilation and no synchronisation."""
    device, on_gpu = task.device, task.device.type == "cuda"
    torch.backends.cudnn.benchmark = True
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = compiled(net, on_gpu)
    optimizer = task.sgd(net, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, task.lr_factor)
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    batches = loader(task, workers, persistent_workers=True, pin_memory=on_gpu, prefetch_factor=4)
    loss_sum = torch.zeros((), device=device)
    steps = 0
    for _ in range(task.epochs):
        for index, (images, labels) in enumerate(batches):
            if index == 0:
                observer.epoch_begins()
            images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
            labels = labels.to(device, non_blocking=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=task.bf16):
                loss = F.cross_entropy(forward(images), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            lr = float(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
            loss_sum += loss.detach()
            observer.step(images, labels, loss)
            steps += 1
        observer.epoch_ends()
    return Trained.of(net, optimizer, lr, steps)


def compiled(net: nn.Module, on_gpu: bool) -> Callable[[Tensor], Tensor]:
    """Compile by inductor, with CUDA graphs on a GPU; on a CPU that needs a C++ compiler, and saves about a tenth."""
    if not on_gpu and not (shutil.which("g++") or shutil.which("clang++")):
        return net
    made: Callable[[Tensor], Tensor] = torch.compile(net, mode="reduce-overhead" if on_gpu else "default")
    return made
