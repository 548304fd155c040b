"""Comparing finished runs: from run directories to tables, plots and a page. Imports no torch."""
