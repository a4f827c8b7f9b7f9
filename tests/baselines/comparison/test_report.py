"""The report of comparisons whose runs are written files."""

import csv
import html.parser
import json
import re
import shutil

import pytest
from PIL import Image

from rewardloom.baselines.comparison import make_report
from rewardloom.baselines.comparison.compare import comparison_runs, read_comparison
from rewardloom.baselines.comparison.figures import Panel, panels, write_panels
from rewardloom.baselines.comparison.results import arm_results
from rewardloom.errors import RunError


class Page(html.parser.HTMLParser):
    """Collects the text, the ids, everything that a browser would fetch, and what holds tables."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.text, self.table_boxes = [], [], "", []
        self.box = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.table_boxes.append(self.box)
        self.box = dict(attrs).get("class") or ""
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "poster"):
                self.fetched.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        self.text += data


def report_of(folder):
    return make_report(folder).report.read_text(encoding="utf-8")


TWO = {"extrinsic": [1.0, 2.0], "counting": [1.5, 3.0]}


def test_report_is_one_file_that_fetches_nothing(make_comparison):
    text = report_of(make_comparison(TWO))
    page = Page(text)
    assert all(target.startswith(("data:", "#")) for target in page.fetched)
    assert not re.search(
        r"@import|url\((?!#)|<link|fetch\(|XMLHttpRequest|https?://(?!www\.w3)", text
    )
    assert len(page.ids) == len(set(page.ids))


def test_what_is_wide_scrolls_in_its_own_box_on_a_narrow_screen(make_comparison):
    folder = make_comparison({"plain": [1, 2], "heron": [1, 2]})
    for seed in (0, 1):
        write_diagnostics(folder, "heron", seed, [{"step": 9, "design": "heron", "loss": 1.0}])
    text = report_of(folder)
    boxes = Page(text).table_boxes
    assert len(boxes) == 2
    assert all("scroll" in box.split() for box in boxes)
    assert re.search(r'<figure class="card scroll"><svg[^>]*Evaluated raw return', text)


def test_report_names_arms_designs_seeds_command_and_compute(make_comparison):
    designs = {"counting": [{"design": "count", "coef": 0.1}]}
    page = Page(report_of(make_comparison(TWO, designs=designs)))
    for words in ("extrinsic", "counting", "count:coef=0.1", "2 seeds per arm", "1 min 15 s",
                  "rewardloom compare X --out Y", "2 CPU cores", "10,000"):  # fmt: skip
        assert words in page.text


def test_every_metric_and_design_column_has_a_curve(make_comparison):
    designs = {"counting": [{"design": "count", "coef": 0.1}]}
    text = report_of(make_comparison(TWO, designs=designs))
    titles = re.findall(r"<h3>(.*?)</h3>", text)
    assert titles == [
        "Raw return",
        "Shaped return: what the agent was paid",
        "Depth",
        "Episode length",
        "count: bonus",
    ]


def test_a_design_columns_name_says_what_stands_for_an_episode(make_comparison):
    folder = make_comparison(TWO)
    config, _ = read_comparison(folder)
    arm = arm_results(comparison_runs(folder, config))[0]
    columns = ("design_defer_held_last", "design_count_visits_mean", "design_count_bonus")
    columns += ("design_count_refits_last",)  # a count: no panel
    arm.curves.update(dict.fromkeys(columns, arm.curves["raw_return"]))
    found = panels([arm], [{"design": "defer"}, {"design": "count"}])
    assert found[-3:] == [
        Panel("design_defer_held_last", "defer: held", "at the episode's end"),
        Panel("design_count_visits_mean", "count: visits", "mean over an episode's steps"),
        Panel("design_count_bonus", "count: bonus", "sum per episode"),
    ]


def test_what_never_changes_is_not_drawn_but_named(make_comparison):
    text = report_of(make_comparison(TWO))
    assert "<h3>Floor</h3>" not in text
    assert "The same throughout, so not drawn: Floor." in text


LEVEL = {"metric": "raw_return", "level": 2.0}


def test_steps_to_a_level_are_in_the_table_and_in_the_file(make_comparison):
    folder = make_comparison({"weak": [0.0, 0.5], "strong": [9.0, 9.5]}, success_level=LEVEL)
    text = report_of(folder)
    assert "Steps to raw return 2" in text
    assert "never: 0 of 2 reached it" in text
    assert "2 of 2 reached it<br>median" in text
    assert "last 20 training episodes of a run was first at least 2" in text
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reached_level"] for row in rows] == ["0", "0", "1", "1"]
    assert [row["steps_to_level"] == "" for row in rows] == [True, True, False, False]
    assert all(0 < float(row["steps_to_level"]) <= 10_000 for row in rows[2:])


def write_diagnostics(folder, arm, seed, rows):
    path = folder / "runs" / arm / f"seed{seed}" / "designs.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_learned_designs_speak_for_themselves(make_comparison):
    folder = make_comparison({"plain": [1, 2], "heron": [1, 2]})
    for seed in (0, 1):
        rows = [
            {"step": 2000 * k, "design": "heron", "pair_accuracy": 0.5 + 0.1 * k + 0.02 * seed}
            | {"undecided": 0.25, "episodes": 10.0 * k, "steps": 2000.0 * k}
            for k in range(1, 5)
        ]
        write_diagnostics(folder, "heron", seed, rows)
    text = report_of(folder)
    section = text[text.index("What the designs say of themselves") :]
    section = section[: section.index("One episode of each arm")]
    assert re.findall(r"<h4>(.*?)</h4>", section) == ["Pair accuracy"]
    assert "<h3>heron</h3>" in section
    table = Page(section[section.index("<table") :]).text
    assert "heron: pair accuracy0.91[0.9, 0.92]" in table
    assert "heron: undecided0.25[0.25, 0.25]" in table
    assert "heron: steps8,000[8,000, 8,000]" in table
    assert "plain" not in table
    assert len(Page(text).ids) == len(set(Page(text).ids))


def test_panels_of_chosen_arms_make_a_picture_for_a_document(make_comparison, tmp_path):
    folder = make_comparison(TWO)
    config, _ = read_comparison(folder)
    arms = arm_results(comparison_runs(folder, config))
    shown = [Panel("raw_return", "Earned", ""), Panel("metric_depth", "Reached", "depth")]
    heading = ("Earned against reached", "two seeds")
    write_panels(tmp_path / "panels.svg", heading, arms, shown)
    text = (tmp_path / "panels.svg").read_text()
    for words in ("Earned", "Reached", "depth", "two seeds", "extrinsic", "counting"):
        assert f">{words}<" in text
    write_panels(tmp_path / "panels.png", heading, arms, shown)
    with Image.open(tmp_path / "panels.png") as picture:
        assert picture.width == 1500


def test_without_learned_designs_there_is_no_such_section(make_comparison):
    assert "say of themselves" not in report_of(make_comparison(TWO))


def test_episodes_that_failed_are_counted(make_comparison):
    folder = make_comparison(TWO)
    path = folder / "runs" / "counting" / "seed1" / "evaluation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "failed_episodes": 3}))
    assert "Left out: infrastructure failed (episodes)03" in Page(report_of(folder)).text


def test_overlap_is_said(make_comparison):
    text = report_of(make_comparison({"a": [1, 2, 3, 4, 5, 6], "b": [2, 3, 4, 5, 6, 7]}))
    assert "The intervals of a and b overlap: no difference in raw return is shown" in text
    assert "better" not in Page(text).text.split("Learning curves")[0]


def test_better_is_said_only_with_enough_seeds(make_comparison):
    text = report_of(make_comparison({"a": [1, 1, 2, 2, 1], "b": [9, 8, 9, 8, 9]}))
    assert "b reaches a better raw return than a" in text


def test_two_seeds_apart_are_too_few(make_comparison):
    text = report_of(make_comparison({"a": [1, 2], "b": [8, 9]}))
    assert "do not overlap, but 2 seeds are too few seeds to say better" in text


def test_unfinished_runs_are_left_out_and_said(make_comparison):
    folder = make_comparison({"a": [1, 2], "b": [8, 1000]}, unfinished=[("b", 1)])
    text = Page(report_of(folder)).text
    assert "b seed 1 is left out: running at step 10,000" in text
    assert "1,000" not in text.split("Learning curves")[0]
    assert "seeds per arm: a 2, b 1" in text


def test_the_steps_that_were_run_are_said_and_not_only_those_asked(make_comparison):
    folder = make_comparison({"a": [1, 2], "b": [8, 9]})
    assert Page(report_of(folder)).text.count("10,000 steps per run") == 2
    assert "asked" not in report_of(folder)
    status = folder / "runs" / "b" / "seed1" / "status.json"
    status.write_text(json.dumps({"state": "finished", "step": 10_240}))
    text = Page(report_of(folder)).text
    assert text.count("10,000 to 10,240 steps per run (10,000 asked)") == 2


def test_a_run_without_a_folder_is_left_out_and_said(make_comparison):
    folder = make_comparison({"a": [1, 2], "b": [8, 9]})
    shutil.rmtree(folder / "runs" / "b" / "seed1")
    text = Page(report_of(folder)).text
    assert "b seed 1 is left out: it was not started, or failed before its first step" in text


def test_an_arm_without_training_episodes_has_no_curve_and_the_report_says_so(make_comparison):
    folder = make_comparison(TWO)
    episodes = folder / "runs" / "counting" / "seed1" / "episodes.csv"
    episodes.write_text(episodes.read_text().splitlines()[0] + "\n")
    text = report_of(folder)
    assert "No curve for counting: a run of it finished too few training episodes." in text
    assert "counting" in text.split("Learning curves")[0]


def test_no_finished_run_is_an_error_that_says_so(make_comparison):
    folder = make_comparison({"a": [1]}, unfinished=[("a", 0)])
    with pytest.raises(RunError, match=r"No run in .* is finished"):
        make_report(folder)


def test_names_and_reasons_are_escaped(make_comparison):
    folder = make_comparison(
        {"a": [1, 2]}, command="rewardloom compare '<script>alert(1)</script>'"
    )
    reason = {"kind": "none", "reason": "<img src=x onerror=alert(1)>"}
    (folder / "replays" / "a.json").write_text(json.dumps(reason))
    text = report_of(folder)
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_text_frames_become_a_player(make_comparison):
    folder = make_comparison({"a": [1, 2]})
    frames = ["\x1b[1;31m@\x1b[0m <b> </script>", "\x1b[33m$\x1b[0m"]
    replay = {"kind": "text", "reason": "", "steps": 1, "raw_return": 2.5, "ended": True}
    replay |= {"milliseconds": 100, "frames": frames}
    (folder / "replays" / "a.json").write_text(json.dumps(replay))
    text = report_of(folder)
    body = re.search(r'<script type="application/json">(.*?)</script>', text)[1]
    assert json.loads(body) == [
        '<span class="c9 bold">@</span> &lt;b&gt; &lt;/script&gt;',
        '<span class="c3">$</span>',
    ]
    assert "raw return 2.5" in text


def test_pictures_are_inline(make_comparison):
    folder = make_comparison({"a": [1, 2]})
    Image.new("RGB", (8, 8)).save(folder / "replays" / "a.webp")
    replay = {"kind": "picture", "reason": "", "steps": 7, "raw_return": 1.0, "ended": False}
    (folder / "replays" / "a.json").write_text(json.dumps({**replay, "frames": []}))
    text = report_of(folder)
    assert "data:image/webp;base64,UklGR" in text
    assert "7 steps, cut there" in text


def test_results_csv_has_a_row_per_run(make_comparison):
    folder = make_comparison({"a": [1, 2], "b": [8, 9]}, unfinished=[("b", 1)])
    make_report(folder)
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["arm"], r["seed"], r["state"], r["raw_return"]) for r in rows] == [
        ("a", "0", "finished", "1"),
        ("a", "1", "finished", "2"),
        ("b", "0", "finished", "8"),
        ("b", "1", "running", ""),
    ]


@pytest.mark.parametrize("scores", [TWO, {"only": [1.0]}, {c: [1.0, 2.0] for c in "abcdefg"}])
def test_summary_picture_is_1200_wide_for_any_number_of_arms(make_comparison, scores):
    folder = make_comparison(scores)
    make_report(folder)
    with Image.open(folder / "report.png") as picture:
        assert picture.width == 1200


@pytest.mark.parametrize(
    ("arms", "pairs"),
    [("abc", ["a and b", "a and c", "b and c"]), ("abcd", ["a and b", "a and c", "a and d"])],
)
def test_many_arms_are_compared_with_the_first_only(make_comparison, arms, pairs):
    text = Page(report_of(make_comparison({name: [1, 2] for name in arms}))).text
    assert re.findall(r"The intervals of (\w and \w) overlap", text) == pairs
