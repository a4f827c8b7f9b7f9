"""Comparing arms over seeds: processes, statistics, plots and the report."""

from __future__ import annotations

from rewardloom.baselines.comparison.compare import CompareResult as CompareResult
from rewardloom.baselines.comparison.compare import compare as compare
from rewardloom.baselines.comparison.compare import make_report as make_report
from rewardloom.baselines.comparison.config import CompareConfig as CompareConfig
