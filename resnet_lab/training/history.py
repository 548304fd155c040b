"""What a run records of each epoch, and what follows from it."""

Record = dict[str, float | None]  # `epoch`, `train/loss`, `val/loss`, …
History = list[Record]


def best_epoch(history: History, name: str) -> Record | None:
    """Return the record of the first epoch with the lowest number of this name; None if no epoch has it."""
    known = [record for record in history if record[name] is not None]
    return min(known, key=lambda record: record[name] or 0.0, default=None)


def out_of_patience(history: History, score: str, patience: int | None) -> bool:
    """Return whether the last `patience` epochs have brought no lower validation score; None never ends."""
    best = best_epoch(history, f"val/{score}")
    return patience is not None and best is not None and len(history) - (best["epoch"] or 0) >= patience
