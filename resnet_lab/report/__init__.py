"""Comparison of finished runs: from run directories to tables, figures and a page. Does not import torch."""
