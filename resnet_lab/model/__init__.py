"""The network (units, shortcuts, stem, stacks and head) and its cost."""
