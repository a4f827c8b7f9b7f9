"""Comparing arms over seeds: processes, statistics, plots and the report."""
