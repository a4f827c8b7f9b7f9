"""The staircase task.

- `NetHackStaircase`: go down to a given depth.
"""

from __future__ import annotations

from typing import Any, Literal

from rewardloom.envs.nethack.engine import Engine
from rewardloom.envs.nethack.settings import check_choice, check_flag
from rewardloom.envs.nethack.stats import Stat
from rewardloom.envs.nethack.world import NetHackWorld

__all__ = ["NetHackStaircase"]

_ORDINARY_DESCENT = b"You descend the stairs."


class NetHackStaircase(NetHackWorld):
    """Go down to a given depth of the dungeon.

    ## Description
    The agent has to find the stairs down of every level on its way. One sparse reward.

    ## Action Space
    `Discrete(23)` with `actions="task23"`: more, 8 steps, 8 long walks, up, down, wait, kick, eat,
    search. `Discrete(28)` with "ext28": also cast, quaff, pray, pick up, pay; at a question about
    an item the north-west step takes the first letter offered (yes), any other action declines, and
    the first known spell is cast and the first skill that can be is advanced. `--More--`, menus and
    text prompts are cleared, and questions declined, except those for a direction, about eating,
    attacking and praying ("ext28": also drinking and paying), which the next action answers.

    ## Observation Space
    A `Dict` of fresh arrays. No preset hides score or depth from the agent.

    - "compact": `glyph_crop` (11, 11) int16: glyph ids around the hero, 5976 beyond the map;
      `blstats` (27,) int64: the bottom lines, see `rewardloom.envs.nethack.Stat`; `message`
      (256,) uint8.
    - "oni": `tty_chars`, `tty_colors` (24, 80), `tty_cursor` (2,), `blstats`, `message`,
      `glyphs` (21, 79).
    - "full": `glyphs`, `chars`, `colors`, `specials`, `blstats`, `message`, `inv_glyphs`,
      `inv_strs`, `inv_letters`, `inv_oclasses`, `screen_descriptions`, `tty_chars`,
      `tty_colors`, `tty_cursor`, `misc`, as in nle.

    When the game is over nle blanks all but the terminal; `message` still says what happened.
    With `screen_descriptions` the game looks at every object in sight, so the texts of "full" name
    some objects more closely than those of the other presets.

    ## Rewards
    `reward_scale * success` of the components.

    | component | range | when |
    |---|---|---|
    | `score` | any integer | change of the in-game score |
    | `gold` | any integer | change of the gold carried |
    | `experience` | any integer | change of the experience points |
    | `depth` | 0, 1, 2, ... | levels by which the deepest depth so far grew |
    | `scout` | 0, 1, 2, ... | map cells by which the most ever known of this level grew |
    | `idle` | 0 or 1 | game time stood still |
    | `success` | 0 or 1 | the depth was reached, once an episode |

    At the step that ends the game the changes run to the last frame at which it was going on.

    ## Information
    | key | in | type | meaning |
    |---|---|---|---|
    | `caption` | every | str | texts shown since the last action, joined by two spaces |
    | `backend` | reset | str | name and version of what plays the game |
    | `reset_retries` | reset | int | games that did not start before this one |
    | `reward_components` | step | dict[str, float] | the table above |
    | `is_success` | last step | bool | the depth was reached in this episode |
    | `end_status` | last step | str | "truncated", "success", or nle's word: "died", "starving" |
    | `episode_metrics` | last step | dict[str, float] | the final numbers below |

    `episode_metrics`: score, depth, max_depth, experience_level, gold, turns, scout (cells),
    ascended and died (0 or 1), from the last frame at which the game was going on.

    ## Starting State
    A new game, by default a neutral human male monk on depth 1, seeded from `self.np_random` at
    every reset: equal seeds give equal games, bit for bit.

    ## Episode End
    ### Termination
    The depth was reached (not with `continual`), or the game is over.

    ### Truncation
    At `horizon` steps. A `max_episode_steps` given to `gym.make` truncates from outside, without
    `is_success` and `episode_metrics`; prefer `horizon`, and give `horizon=None` with it to play
    longer than 5000 steps.

    ## Arguments
    - `level` (required): depth to reach: 2, 3 or 4.
    - `continual` (default False): go on after success, until the game is over.
    - `strict_message` (default False): success only when the game says "You descend the
      stairs." and the level's number in its branch is `level`.
    - `reward_scale` (default 50.0): reward of success.
    - `actions` (default "task23"): "task23", "ext28", or a sequence of nle's action enums or
      key codes.
    - `observations` (default "compact"): "compact", "oni" or "full".
    - `caption` (default "joined"): "joined": `caption` and `message` hold every text shown
      since the last action; "stock": the message line as nle leaves it, without texts that
      `--More--` cleared.
    - `horizon` (default 5000): steps until truncation; None for no limit.
    - `character` (default "mon-hum-neu-mal"): role and, optionally, race, alignment and gender;
      "@" for a random one.
    - `lgen` (default None): seed of the level generator: the same levels in every game.
    - `fix_moon_phase` (default True): take moon phase and Friday 13th from the seed; False lets
      the date into the game.
    - `save_ttyrec_every` (default 0): record every so many games, 0 for none.
    - `ttyrec_dir` (default None): folder of the recordings.
    - `render_mode` (default None): "rgb_array": the terminal as (384, 640, 3) uint8; "ansi": as
      text.

    ## Differences from the paper
    Success is depth reached by any means: stairs, trap door, hole, falling down the stairs, the
    Gnomish Mines. ONI counts only the message of an ordinary descent, on the level with that
    number within its branch, which is `strict_message=True`. nle's own staircase task pays 1 for
    standing on stairs.

    ## References
    Zheng et al. (2024), Online Intrinsic Rewards for Decision Making Agents from Large Language
    Model Feedback, arXiv:2410.23022 (ONI).
    Kuettler et al. (2020), The NetHack Learning Environment, arXiv:2006.13760.

    ## Version History
    * v0: first version, on nle 1.3.0 (NetHack 3.6).
    """

    def __init__(
        self,
        *,
        level: Literal[2, 3, 4],
        continual: bool = False,
        strict_message: bool = False,
        reward_scale: float = 50.0,
        **settings: Any,
    ):
        super().__init__(reward_scale=reward_scale, **settings)
        self.continual = check_flag("continual", continual)
        self.level = check_choice("level", level, (2, 3, 4))
        self.strict_message = check_flag("strict_message", strict_message)

    def _succeeded(self, engine: Engine, stats: list[int]) -> bool:
        if self.strict_message:
            told = any(_ORDINARY_DESCENT in segment for segment in engine.segments)
            return told and stats[Stat.LEVEL] == self.level
        return stats[Stat.DEPTH] >= self.level

    def _reward(self, components: dict[str, float]) -> float:
        return self.reward_scale * components["success"]
