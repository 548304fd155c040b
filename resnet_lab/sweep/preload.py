"""All that a job imports: the server does it once, and every job that it forks starts at once."""

import sklearn.datasets  # noqa: F401

import resnet_lab.callbacks.dashboard
import resnet_lab.callbacks.diagnostics
import resnet_lab.callbacks.progress
import resnet_lab.callbacks.reporter
import resnet_lab.sweep.worker
import resnet_lab.training.run  # noqa: F401
