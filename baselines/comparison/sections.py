"""The parts of `report.html`, each a function from results to HTML.

Every name and message that comes from a configuration or a log is escaped here.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from rewardloom.baselines.comparison.ansi import ansi_to_html
from rewardloom.baselines.comparison.config import CompareConfig
from rewardloom.baselines.comparison.figures import ARM_COLORS, DASHES, Panel, curve_svg, words
from rewardloom.baselines.comparison.levels import level_summary, steps_to_level
from rewardloom.baselines.comparison.results import ArmResult, RunRecord
from rewardloom.baselines.comparison.statistics import Estimate
from rewardloom.baselines.training.config import TrainConfig

__all__ = [
    "PLAYER_SCRIPT",
    "arm_heads",
    "arm_list",
    "curves",
    "design_text",
    "interval",
    "legend",
    "number",
    "problems",
    "replay_figure",
    "results_table",
    "settings_list",
    "table_row",
    "time_bars",
    "versions_list",
]

_PARTS = {
    "env": "environment",
    "policy": "choosing actions",
    "learning": "learning",
    "design": "reward design",
    "other": "everything else",
}
_ALGORITHM = {
    "auto": "MaskablePPO where the world has action masks, else PPO",
    "ppo": "PPO",
    "maskable_ppo": "MaskablePPO",
}
_WIDE = 1.6  # width over height of a picture that gets a row of its own, such as a terminal
_LABELLED = 0.09  # smaller shares have no room for their percentage

PLAYER_SCRIPT = """<script>
document.querySelectorAll("[data-player]").forEach(function (box) {
  var frames = JSON.parse(box.querySelector("script").textContent);
  var screen = box.querySelector("pre"), slider = box.querySelector("input");
  var button = box.querySelector("button"), timer = null;
  function show(i) { slider.value = i; screen.innerHTML = frames[i]; }
  function stop() { clearInterval(timer); timer = null; button.textContent = "Play"; }
  function play() {
    button.textContent = "Pause";
    timer = setInterval(function () { show((+slider.value + 1) % frames.length); },
      +box.dataset.player);
  }
  button.onclick = function () { if (timer) { stop(); } else { play(); } };
  slider.oninput = function () { stop(); show(+slider.value); };
  slider.max = frames.length - 1;
  show(0); play();
});
</script>"""


def number(value: float) -> str:
    """Return a number for a reader: four significant digits, thousands set apart."""
    if not math.isfinite(value):
        return "\u2013"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def design_text(design: Mapping[str, Any]) -> str:
    """Return a design as it is written on the command line."""
    arguments = ",".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
        for key, value in design.items()
        if key != "design"
    )
    return f"{design['design']}:{arguments}" if arguments else str(design["design"])


def arm_list(config: CompareConfig, arms: Sequence[ArmResult]) -> str:
    """Return each arm with its designs and overrides; finished ones with their line."""
    lines = {arm.name: _line(index) for index, arm in enumerate(arms)}
    items = []
    for name, settings in config.arms.items():
        designs = " + ".join(_code(design_text(d)) for d in settings["designs"])
        others = ", ".join(
            _code(f"{key}={json.dumps(value)}")
            for key, value in settings.items()
            if key != "designs"
        )
        facts = designs or "the world's own reward"
        items.append(
            f"<li>{lines.get(name, '')}<span><b>{html.escape(name)}</b>: {facts}"
            f"{', ' + others if others else ''}</span></li>"
        )
    return "".join(items)


def legend(arms: Sequence[ArmResult]) -> str:
    """Return the arms' names with their lines."""
    return "".join(
        f"<li>{_line(index)}<span>{html.escape(arm.name)}</span></li>"
        for index, arm in enumerate(arms)
    )


def problems(records: Sequence[RunRecord], errors: Mapping[str, str]) -> str:
    """Return a box about runs that do not count, or nothing."""
    missing = [record for record in records if not record.finished]
    if not missing:
        return ""
    lines = []
    for record in missing:
        name = f"{record.arm} seed {record.seed}"
        state = f"{record.state} at step {record.step:,}"
        if record.state == "missing":
            state = "it was not started, or failed before its first step (its log says why)"
        words_ = html.escape(errors.get(name, state))
        lines.append(f"<p><b>{html.escape(name)}</b> is left out: {words_}</p>")
    return f'<div class="verdict" role="note">{"".join(lines)}</div>'


def arm_heads(arms: Sequence[ArmResult], which: Sequence[int]) -> str:
    """Return a column head for each arm whose index is in `which`, with its line."""
    return "".join(
        f'<th scope="col"><span class="key">{_line(i)}{html.escape(arms[i].name)}</span></th>'
        for i in which
    )


def results_table(arms: Sequence[ArmResult], level: Mapping[str, Any] | None = None) -> str:
    """Return the table of the final evaluation: quantities down, arms across.

    Args:
        arms: Those with a finished run.
        level: `CompareConfig.success_level`; adds a row.
    """
    head = arm_heads(arms, range(len(arms)))
    rows = [table_row("Raw return (IQM)", [interval(arm.raw_return) for arm in arms], "first")]
    metrics = list(dict.fromkeys(name for arm in arms for name in arm.metrics))
    metrics.sort(key=lambda name: (name == "length", name == "is_success"))
    for name in metrics:
        label = "Episode length (steps)" if name == "length" else words(name)
        percent = name == "is_success"
        cells = [
            interval(arm.metrics[name], percent=percent) if name in arm.metrics else "\u2013"
            for arm in arms
        ]
        rows.append(table_row(label, cells))
    if level is not None:
        found = [[steps_to_level(run.episodes, level) for run in arm.runs] for arm in arms]
        label = f"Steps to {words(level['metric']).lower()} {number(level['level'])}"
        summaries = [level_summary(steps) for steps in found]
        cells = [text.replace("; ", "<br>").replace(" (", "<br>(") for text in summaries]
        rows.append(table_row(label, cells))
    rows.append(table_row("Seeds", [str(len(arm.runs)) for arm in arms]))
    rows.append(table_row("Evaluation episodes", [f"{arm.eval_episodes:,}" for arm in arms]))
    if any(arm.failed_episodes for arm in arms):
        cells = [f"{arm.failed_episodes:,}" for arm in arms]
        rows.append(table_row("Left out: infrastructure failed (episodes)", cells))
    rows.append(table_row("Training speed (steps/s per run)", [
        number(arm.steps_per_second) for arm in arms])
    )  # fmt: skip
    return (
        f'<table><thead><tr><th scope="col"></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def curves(shown: Sequence[Panel], arms: Sequence[ArmResult]) -> str:
    """Return one figure per panel."""
    return "".join(
        f'<figure class="card"><h3>{html.escape(panel.title)}</h3>{curve_svg(panel, arms)}</figure>'
        for panel in shown
    )


def replay_figure(index: int, arm: ArmResult, target: Path, error: str) -> str:
    """Return the recorded episode of an arm's first run, or the reason why there is none."""
    path = target.with_suffix(".json")
    if not path.is_file():
        replay: dict[str, Any] = {"kind": "none", "reason": error or "it was not recorded"}
    else:
        replay = json.loads(path.read_text(encoding="utf-8"))
    name, seed = html.escape(arm.name), arm.runs[0].seed
    head = f'<h3 class="key">{_line(index)}{name}</h3>'
    if replay["kind"] == "none":
        words_ = html.escape(replay["reason"])
        return f'<figure class="card">{head}<p class="small">No replay: {words_}.</p></figure>'
    end = "" if replay["ended"] else ", cut there"
    caption = (
        f"Agent of seed {seed}: {replay['steps']:,} steps{end}, raw return "
        f"{number(replay['raw_return'])}"
    )
    wide = ""
    if replay["kind"] == "picture":
        with Image.open(target.with_suffix(".webp")) as picture:
            wide = " wide" if picture.width > _WIDE * picture.height else ""
        data = base64.b64encode(target.with_suffix(".webp").read_bytes()).decode()
        body = f'<img alt="Replay of {name}" src="data:image/webp;base64,{data}">'
    else:
        body = _player(replay["frames"], replay["milliseconds"])
    return f'<figure class="card{wide}">{head}{body}<figcaption>{caption}</figcaption></figure>'


def time_bars(arms: Sequence[ArmResult]) -> tuple[str, str]:
    """Return a bar per arm, split by where its training time went, and the legend."""
    bars = []
    for arm in arms:
        spans = []
        for i, (part, label) in enumerate(_PARTS.items()):
            share = arm.share.get(part, 0.0)
            text = f"{share:.0%}" if share >= _LABELLED else ""
            spans.append(
                f'<span title="{label}: {share:.1%}" '
                f'style="width:{share:.2%};background:var(--part-{i})">{text}</span>'
            )
        bars.append(
            f'<div>{html.escape(arm.name)}</div><div class="bar" role="img" '
            f'aria-label="{_shares(arm)}">{"".join(spans)}</div>'
        )
    legend_ = "".join(
        f'<li><span class="swatch" style="background:var(--part-{i})"></span>{label}</li>'
        for i, label in enumerate(_PARTS.values())
    )
    return "".join(bars), legend_


def settings_list(config: CompareConfig, facts: Mapping[str, Any]) -> str:
    """Return the settings that matter to a reader and the compute that was used."""
    common = config.common
    trained = sum(facts["run_seconds"])
    rows = {
        "World": _code(common.world),
        "World arguments": _mapping(common.world_kwargs),
        "Wrappers": ", ".join(_code(json.dumps(wrapper)) for wrapper in common.wrappers),
        "Components": _mapping(common.components),
        "Steps": facts["steps_run"],
        "Seeds": ", ".join(map(str, config.seeds)),
        "Algorithm": _ALGORITHM.get(common.algo, common.algo),
        "Algorithm arguments": _mapping(common.algo_kwargs),
        "Environments per run": str(common.num_envs),
        "Device": _code(common.device),
        "Evaluation": f"{common.eval_episodes} episodes per run, {_actions(common)}",
        "Compute": (
            f"{duration(facts['wall_seconds'])} of wall time with {config.jobs} runs at a time on "
            f"{facts['cores']} CPU cores; the runs trained for {duration(trained)} together"
        ),
    }
    return _definitions({key: value for key, value in rows.items() if value})


def _actions(config: TrainConfig) -> str:
    if config.eval_deterministic:
        return "the most probable actions"
    return "actions sampled as in training"


def versions_list(versions: Mapping[str, Any]) -> str:
    """Return the software that the runs were made with."""
    rows = {key: html.escape(str(value)) for key, value in versions.items() if key != "git"}
    git = versions.get("git")
    if git:
        changed = ", with local changes" if git["changed"] else ""
        rows["git commit"] = f"{_code(git['commit'])}{changed}"
    return _definitions(rows)


def duration(seconds: float) -> str:
    """Return seconds as "42 s", "3 min 05 s" or "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _line(index: int) -> str:
    dash = DASHES[index % len(DASHES)]
    pattern = ""
    if not isinstance(dash, str):
        pattern = f' stroke-dasharray="{" ".join(str(2 * length) for length in dash[1])}"'
    return (
        f'<svg viewBox="0 0 34 10" aria-hidden="true"><line x1="1" y1="5" x2="33" y2="5" '
        f'stroke="var(--arm-{index % len(ARM_COLORS)})" stroke-width="3"{pattern}/></svg>'
    )


def interval(value: Estimate, *, percent: bool = False) -> str:
    """Return an estimate with its interval, if it has one, as a table's cell."""
    show = (lambda x: f"{100 * x:.3g} %") if percent else number
    if not math.isfinite(value.low):
        return show(value.point)
    return (
        f'{show(value.point)}<span class="interval">[{show(value.low)}, {show(value.high)}]</span>'
    )


def table_row(label: str, cells: Sequence[str], css: str = "") -> str:
    """Return a row of a table whose cells are HTML."""
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{css}"><th scope="row">{html.escape(label)}</th>{body}</tr>'


def _player(frames: Sequence[str], milliseconds: int) -> str:
    pages = [ansi_to_html(frame) for frame in frames]
    data = json.dumps(pages).replace("</", "<\\/")
    return (
        f'<div data-player="{milliseconds}"><pre class="screen">{pages[-1]}</pre>'
        '<div class="controls"><button type="button">Play</button>'
        '<input type="range" min="0" value="0" aria-label="Frame"></div>'
        f'<script type="application/json">{data}</script></div>'
    )


def _shares(arm: ArmResult) -> str:
    return ", ".join(f"{label} {arm.share.get(part, 0.0):.0%}" for part, label in _PARTS.items())


def _mapping(values: Mapping[str, Any]) -> str:
    return ", ".join(_code(f"{key}={json.dumps(value)}") for key, value in values.items())


def _definitions(rows: Mapping[str, str]) -> str:
    return "".join(f"<dt>{html.escape(key)}</dt><dd>{value}</dd>" for key, value in rows.items())


def _code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"
