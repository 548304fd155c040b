"""The arithmetic of reports: means, intervals, tests, effects and fits. Knows nothing of files and pages."""
