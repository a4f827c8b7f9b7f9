import pytest

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.models.settings import ClassificationSettings, RankingSettings
from rewardloom.rewards.learning.settings import read_settings


def test_settings_come_from_a_configuration():
    settings = read_settings(RankingSettings, {"channels": [8, 8], "eps": 0, "seed": 0})
    assert settings.channels == (8, 8)
    assert read_settings(RankingSettings, settings) is settings
    assert read_settings(ClassificationSettings, None) == ClassificationSettings()


def test_an_unknown_field_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match="Did you mean 'min_labels'"):
        read_settings(ClassificationSettings, {"min_label": 3})
    with pytest.raises(ConfigError, match=r"Unknown field 'eps' in ClassificationSettings"):
        read_settings(ClassificationSettings, {"eps": 0.0})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gradient_steps", 0),
        ("batch_size", 2.5),
        ("max_table", True),
        ("seed", -1),
        ("kernel", 4),
        ("channels", []),
        ("channels", "64"),
        ("hidden", [0]),
        ("hidden", 64),
        ("dropout", 1.0),
        ("dropout", "0"),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("max_labels", 10),
        ("device", "tpu9"),
    ],
)
@pytest.mark.parametrize("kind", [ClassificationSettings, RankingSettings])
def test_bad_values_are_refused_by_name(kind, field, value):
    with pytest.raises(ConfigError, match=field):
        read_settings(kind, {field: value})


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (ClassificationSettings, "eta", 1.0),
        (ClassificationSettings, "eta", -0.1),
        (ClassificationSettings, "eta", None),
        (RankingSettings, "eps", float("nan")),
        (RankingSettings, "subsample", 0),
        (RankingSettings, "pairs_per_draw", 0),
        (RankingSettings, "distinct", 1),
        (RankingSettings, "max_pool", 1),
    ],
)
def test_bad_values_of_one_model_are_refused_by_name(kind, field, value):
    with pytest.raises(ConfigError, match=field):
        read_settings(kind, {field: value})


@pytest.mark.parametrize("value", [RankingSettings(), [1], "cpu"])
def test_what_is_no_setting_is_refused(value):
    with pytest.raises(ConfigError, match="learning must be a mapping"):
        read_settings(ClassificationSettings, value)
