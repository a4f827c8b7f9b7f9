"""`write_report`: `report.html`, `report.png` and `results.csv` of a comparison."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import combinations
from pathlib import Path
from string import Template
from typing import Any

import rewardloom
from rewardloom.baselines.comparison import sections
from rewardloom.baselines.comparison.config import CompareConfig
from rewardloom.baselines.comparison.design_section import design_section
from rewardloom.baselines.comparison.figures import (
    Panel,
    is_constant,
    panels,
    returns_svg,
    words,
    write_summary,
)
from rewardloom.baselines.comparison.levels import LEVEL_WINDOW
from rewardloom.baselines.comparison.results import ArmResult, RunRecord, write_results
from rewardloom.baselines.comparison.statistics import SEEDS_TO_CLAIM, verdict
from rewardloom.baselines.training.folder import write_bytes

__all__ = ["verdicts", "write_report"]

_EVERY_PAIR = 3  # arms up to which all pairs are spoken of
_FOOTER = (
    "Intervals are 95 % percentile intervals of a stratified bootstrap over seeds (Agarwal et al. "
    "2021). They cover the luck of the training seed on this world with these settings, nothing "
    "else. With 2 or 3 seeds such an interval is simply the range of the seeds, and it is too "
    "narrow."
)


def write_report(
    folder: Path,
    config: CompareConfig,
    facts: Mapping[str, Any],
    records: Sequence[RunRecord],
    arms: Sequence[ArmResult],
    errors: Mapping[str, str],
) -> Path:
    """Write the three files and return the path of `report.html`.

    Args:
        folder: Of the comparison; replays are read from it.
        config: What was compared.
        facts: `command`, `wall_seconds` and `cores` of `compare.json`.
        records: All runs.
        arms: Those with a finished run.
        errors: "arm seed k" or "replay of arm" -> why it is missing.
    """
    write_results(folder / "results.csv", list(records), config.success_level)
    found = panels(arms, [d for arm in config.arms.values() for d in arm["designs"]])
    shown = [p for p in found if p.column == "raw_return" or not is_constant(p, arms)]
    title = f"{config.common.world.rpartition(':')[2]}: {_listing(list(config.arms))}"
    sentences = verdicts(arms)
    basis = f"{_steps_run(config, arms)}, {_seeds(arms)}, 95 % intervals over seeds"
    heading = (title, basis, *(sentences if len(sentences) == 1 else ()))
    write_summary(folder / "report.png", heading, arms, shown)
    bars, part_legend = sections.time_bars(arms)
    replays = "".join(
        sections.replay_figure(
            i, arm, folder / "replays" / arm.name, errors.get(f"replay of {arm.name}", "")
        )
        for i, arm in enumerate(arms)
    )
    compute = {**facts, "run_seconds": [arm.wall_seconds for arm in arms]}
    compute["steps_run"] = _steps_run(config, arms)
    page = _template().substitute(
        title=html.escape(title),
        summary=_summary(config, arms),
        problems=sections.problems(records, errors),
        arm_list=sections.arm_list(config, arms),
        verdicts="".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences),
        returns=returns_svg(arms),
        table=sections.results_table(arms, config.success_level),
        table_note=_table_note(config, arms),
        curve_note=_curve_note(arms, [p for p in found if p not in shown]),
        legend=sections.legend(arms),
        curves=sections.curves(shown, arms),
        design_section=design_section(arms),
        replay_note="The agent of the first seed, on the world without reward designs; all arms "
        "start from the same world seed.",
        replays=replays,
        part_legend=part_legend,
        bars=bars,
        time_note="Shares of each run's training time, mean over its seeds. Everything else: "
        "buffers, logging, checkpoints.",
        settings=sections.settings_list(config, compute),
        settings_json=html.escape(json.dumps(config.to_dict(), indent=2)),
        versions=sections.versions_list(arms[0].runs[0].versions),
        command=html.escape(_command(facts, folder)),
        footer=f"{_FOOTER} Made by rewardloom {rewardloom.__version__}.",
        script=sections.PLAYER_SCRIPT if "data-player" in replays else "",
    )
    path = folder / "report.html"
    write_bytes(path, page.encode())
    return path


def verdicts(arms: Sequence[ArmResult]) -> list[str]:
    """Return what the intervals allow to say about the raw return.

    Of every two arms, or where there are more than three of the first arm and each of the others.
    """
    if len(arms) == 1:
        return [f"{arms[0].name} is the only arm with a finished run: nothing is compared."]
    return [
        verdict((a.name, b.name), a.raw_return, b.raw_return, "raw return") for a, b in _pairs(arms)
    ]


def _pairs(arms: Sequence[ArmResult]) -> Iterator[tuple[ArmResult, ArmResult]]:
    if len(arms) > _EVERY_PAIR:
        return ((arms[0], other) for other in arms[1:])
    return combinations(arms, 2)


def _template() -> Template:
    place = resources.files("rewardloom.baselines.comparison")
    return Template(place.joinpath("template.html").read_text(encoding="utf-8"))


def _steps_run(config: CompareConfig, arms: Sequence[ArmResult]) -> str:
    """Return the steps that runs were trained for: whole rollouts, so more than was asked."""
    taken = [run.step for arm in arms for run in arm.runs]
    fewest, most, asked = min(taken), max(taken), config.common.steps
    steps = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    note = "" if fewest == most == asked else f" ({asked:,} asked)"
    return f"{steps} steps per run{note}"


def _summary(config: CompareConfig, arms: Sequence[ArmResult]) -> str:
    common = config.common
    return (
        f"{_listing([html.escape(name) for name in config.arms])} on "
        f"<code>{html.escape(common.world)}</code>: {_seeds(arms)}, {_steps_run(config, arms)} "
        f"in {common.num_envs} environments at once. Every "
        f"agent was then scored on {common.eval_episodes} episodes of the world itself, without "
        "any reward design."
    )


def _table_note(config: CompareConfig, arms: Sequence[ArmResult]) -> str:
    note = (
        f"{_seeds(arms, capital=True)}. A run's score is the mean of its evaluation episodes. Raw "
        "return: interquartile mean (IQM) over runs; other rows: mean over runs; brackets: 95 % "
        "intervals over seeds."
    )
    if config.success_level is not None:
        metric, level = config.success_level["metric"], config.success_level["level"]
        note += (
            " Steps to a level: the training step at which the mean "
            f"{words(metric).lower()} of the last {LEVEL_WINDOW} training episodes of a run was "
            f"first at least {level:g}; the median counts runs that never reached it as longer "
            "than all others."
        )
    if min(len(arm.runs) for arm in arms) < SEEDS_TO_CLAIM:
        note += f" Fewer than {SEEDS_TO_CLAIM} seeds of an arm are too few to call one arm better."
    return note


def _curve_note(arms: Sequence[ArmResult], constant: Sequence[Panel]) -> str:
    """Return what the curves are, and which are missing for what reason."""
    short = [arm.name for arm in arms if "raw_return" not in arm.curves]
    lacking = "".join(
        f" No curve for {name}: a run of it finished too few training episodes." for name in short
    )
    if constant:
        lacking += f" The same throughout, so not drawn: {_listing([p.title for p in constant])}."
    note = (
        f"Training episodes, binned by the step at which they ended: mean over {_seeds(arms)}; "
        "bands are 95 % bootstrap intervals over seeds. A bin is drawn where every run of the arm "
        "has episodes; gaps of single runs are bridged by straight lines."
    )
    return note + html.escape(lacking)


def _seeds(arms: Sequence[ArmResult], *, capital: bool = False) -> str:
    counts = {len(arm.runs) for arm in arms}
    if len(counts) == 1:
        count = counts.pop()
        return f"{count} seed{'s' if count != 1 else ''} per arm"
    word = "Seeds" if capital else "seeds"
    return f"{word} per arm: " + ", ".join(f"{arm.name} {len(arm.runs)}" for arm in arms)


def _command(facts: Mapping[str, Any], folder: Path) -> str:
    if facts["command"]:
        return facts["command"]
    return (
        "from rewardloom.baselines.comparison import CompareConfig, compare\n\n"
        f"compare(CompareConfig.from_dict(settings), {str(folder)!r})  # settings: the JSON above"
    )


def _listing(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
