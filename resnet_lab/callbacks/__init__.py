"""What a run shows while it trains: a progress line and a TensorBoard dashboard."""
