"""Captions: a text in `info["caption"]` that says what a step did, for worlds that say nothing."""

from rewardloom.wrappers.captions.events import EventCaptions as EventCaptions
from rewardloom.wrappers.captions.message import MessageCaptions as MessageCaptions
from rewardloom.wrappers.captions.message import message_text as message_text
from rewardloom.wrappers.captions.minigrid import MiniGridCaptions as MiniGridCaptions
