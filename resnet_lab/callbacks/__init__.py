"""Display of a run during training: a progress line and a TensorBoard dashboard."""
