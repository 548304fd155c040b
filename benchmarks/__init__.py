"""The speed of the lab, measured side by side with other ways to train the same network."""
