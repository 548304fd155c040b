"""The network: units, shortcuts, stem, stacks and head, and what they cost."""
