"""Write tests/golden/keras.json: the book's recipe in Keras, on a toy, for `tests/training/test_keras.py`.

The lab does not need Keras, so this runs in an environment of its own:

    python3 -m venv keras && keras/bin/pip install keras "jax[cpu]" && keras/bin/python scripts/write_keras.py
"""

import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import keras
import numpy as np
from keras import layers

FILE = Path(__file__).parents[1] / "tests" / "golden" / "keras.json"
EPOCHS = (21, 61, 101, 141, 181)  # of 200: one step in each of the five phases of the learning rate


def lr_schedule(epoch: int, *_: Any) -> float:
    """Return the learning rate as the book's code does (Advanced Deep Learning with Keras, resnet-cifar10-2.2.1.py)."""
    lr = 1e-3
    if epoch > 180:
        lr *= 0.5e-3
    elif epoch > 160:
        lr *= 1e-3
    elif epoch > 120:
        lr *= 1e-2
    elif epoch > 80:
        lr *= 1e-1
    return lr


def waves(shape: tuple[int, ...], frequency: float) -> np.ndarray:
    """Return numbers in [-1, 1] that look random and are the same everywhere."""
    return np.sin(frequency * np.arange(1, 1 + np.prod(shape)) ** 1.5).reshape(shape)


def convolution(filters: int, **settings: Any) -> layers.Layer:
    """Return a layer with the penalty of the book's `resnet_layer`."""
    return layers.Conv2D(filters, 3, kernel_regularizer=keras.regularizers.L2(1e-4), **settings)


def main() -> None:
    """Train, and write the initial weights and those after each step."""
    keras.config.set_floatx("float64")
    # Without a bias before BatchNorm: its gradient is 0 but for rounding errors, which Adam would magnify.
    toy = [convolution(2, use_bias=False), layers.BatchNormalization(), layers.ReLU(), convolution(3, strides=2)]
    model = keras.Sequential([keras.Input((7, 7, 1)), *toy, layers.GlobalAveragePooling2D(), layers.Dense(3)])
    for number, kernel in enumerate(weight for weight in model.trainable_weights if weight.ndim > 1):
        kernel.assign(waves(kernel.shape, 0.1 + number))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(learning_rate=lr_schedule(0))
    model.compile(loss=loss, optimizer=optimizer)
    names = [weight.path.split("/", 1)[-1] for weight in model.trainable_weights]
    weights: list[Any] = []
    rates, losses = [], []

    def keep() -> None:
        weights.append([np.asarray(weight).tolist() for weight in model.trainable_weights])

    keep()
    for number, epoch in enumerate(EPOCHS):
        images, labels = waves((4, 7, 7, 1), 0.7 + number), np.arange(4) % 3
        at = {"initial_epoch": epoch, "epochs": epoch + 1}
        scheduler = keras.callbacks.LearningRateScheduler(lr_schedule)
        history = model.fit(images, labels, batch_size=4, callbacks=[scheduler], verbose=0, **at)
        rates.append(float(optimizer.learning_rate))
        losses.append(history.history["loss"][0])
        keep()
    content = {"keras": keras.__version__, "epsilon": optimizer.epsilon, "names": names, "rates": rates}
    FILE.write_text(json.dumps(content | {"losses": losses, "weights": weights}) + "\n")


if __name__ == "__main__":
    main()
