"""The score task.

- `NetHackScore`: play well by the game's own score.
"""

from __future__ import annotations

from typing import Any

from rewardloom.envs.nethack.engine import Engine
from rewardloom.envs.nethack.world import NetHackWorld

__all__ = ["IDLE_PENALTY", "NetHackScore"]

IDLE_PENALTY = 0.01
"""What a step costs at which game time stands still."""


class NetHackScore(NetHackWorld):
    """Play NetHack well by the game's own score.

    ## Description
    The agent plays the real NetHack 3.6. Its score grows with kills, gold, depth and experience;
    the reward is dense early on and the game is nearly endless.

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
    `reward_scale * (score - 0.01 * idle)` of the components.

    | component | range | when |
    |---|---|---|
    | `score` | any integer | change of the in-game score |
    | `gold` | any integer | change of the gold carried |
    | `experience` | any integer | change of the experience points |
    | `depth` | 0, 1, 2, ... | levels by which the deepest depth so far grew |
    | `scout` | 0, 1, 2, ... | map cells by which the most ever known of this level grew |
    | `idle` | 0 or 1 | game time stood still |
    | `success` | 0 or 1 | the game was won (ascension) |

    At the step that ends the game the changes run to the last frame at which it was going on.

    ## Information
    | key | in | type | meaning |
    |---|---|---|---|
    | `caption` | every | str | texts shown since the last action, joined by two spaces |
    | `backend` | reset | str | name and version of what plays the game |
    | `reset_retries` | reset | int | games that did not start before this one |
    | `reward_components` | step | dict[str, float] | the table above |
    | `is_success` | last step | bool | the game was won |
    | `end_status` | last step | str | "truncated", "success", or nle's word: "died", "starving" |
    | `episode_metrics` | last step | dict[str, float] | the final numbers below |

    `episode_metrics`: score, depth, max_depth, experience_level, gold, turns, scout (cells),
    ascended and died (0 or 1), from the last frame at which the game was going on.

    ## Starting State
    A new game, by default a neutral human male monk on depth 1, seeded from `self.np_random` at
    every reset: equal seeds give equal games, bit for bit.

    ## Episode End
    ### Termination
    The game is over.

    ### Truncation
    At `horizon` steps. A `max_episode_steps` given to `gym.make` truncates from outside, without
    `is_success` and `episode_metrics`; prefer `horizon`, and give `horizon=None` with it to play
    longer than 5000 steps.

    ## Arguments
    - `reward_scale` (default 1.0): multiplies the reward.
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
    nle's score task ends a timeout with `terminated=True`; here it is truncated. Its reward is 0 at
    the step that ends the game; here that step's score counts. Texts behind `--More--` are kept.

    ## References
    Kuettler et al. (2020), The NetHack Learning Environment, arXiv:2006.13760.
    Zheng et al. (2024), Online Intrinsic Rewards for Decision Making Agents from Large Language
    Model Feedback, arXiv:2410.23022 (ONI).

    ## Version History
    * v0: first version, on nle 1.3.0 (NetHack 3.6).
    """

    def __init__(self, *, reward_scale: float = 1.0, **settings: Any):
        super().__init__(reward_scale=reward_scale, **settings)

    def _succeeded(self, engine: Engine, stats: list[int]) -> bool:
        return engine.done and engine.how_done == "ascended"

    def _reward(self, components: dict[str, float]) -> float:
        return self.reward_scale * (components["score"] - IDLE_PENALTY * components["idle"])
