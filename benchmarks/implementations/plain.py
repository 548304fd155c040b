"""A plain PyTorch script, as in kuangliu/pytorch-cifar: loader workers, fp32, running accuracy at every step."""

import torch
from torch import nn

from benchmarks.implementations import Observer, Trained
from benchmarks.implementations.loading import loader
from benchmarks.task import Task

WORKERS = 2  # as in pytorch-cifar


def train(task: Task, observer: Observer) -> Trained:
    torch.backends.cudnn.benchmark = True
    net = task.network().to(task.device)
    criterion = nn.CrossEntropyLoss()
    optimizer = task.sgd(net)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, task.lr_factor)
    batches = loader(task, WORKERS)
    steps = 0
    for epoch in range(task.epochs):
        net.train()
        loss_sum, correct, total = 0.0, 0, 0
        for index, (images, labels) in enumerate(batches):
            if index == 0:
                observer.epoch_begins()
            images, labels = images.to(task.device), labels.to(task.device)
            optimizer.zero_grad()
            outputs = net(images)
            loss = criterion(outputs, labels)
            loss.backward()
            lr = float(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
            loss_sum += loss.item()
            total += len(labels)
            correct += outputs.argmax(dim=1).eq(labels).sum().item()
            accuracy = f"accuracy {100 * correct / total:.2f} % ({correct}/{total})"
            print(f"epoch {epoch}, {index + 1}/{len(batches)}: loss {loss_sum / (index + 1):.3f}, {accuracy}")
            observer.step(images, labels, loss)
            steps += 1
        observer.epoch_ends()
    return Trained.of(net, optimizer, lr, steps)
