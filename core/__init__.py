"""Gymnasium worlds whose reward is the hard part, and reward designs for any environment.

Importing this package registers the worlds (`rewardloom/<Name>-v0`) and needs only numpy and
gymnasium; every world imports its own heavy dependency when it is made.
"""

from rewardloom.components import reward_component_names as reward_component_names
from rewardloom.components import terminal_component_names as terminal_component_names
from rewardloom.errors import BackendUnavailable as BackendUnavailable
from rewardloom.errors import ComponentError as ComponentError
from rewardloom.errors import ConfigError as ConfigError
from rewardloom.errors import MissingDependency as MissingDependency
from rewardloom.errors import RunError as RunError
from rewardloom.registration import register_worlds

__version__ = "0.1.0"

register_worlds()
