"""Configs: what is out of range is refused, and JSON keeps every setting."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from keyscore_plugin._runtime.names import hint
from keyscore_plugin.config import (
    ClipsConfig,
    EncodeConfig,
    GridConfig,
    JudgeConfig,
    LlmvsConfig,
    ProposalConfig,
    SamplerConfig,
    ScoreConfig,
    SelectConfig,
)
from keyscore_plugin.errors import InputError
from keyscore_plugin.registries import SAMPLERS

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("config", "bad"),
    [
        (GridConfig, {"kind": "seconds"}),
        (GridConfig, {"sample_fps": 0}),
        (GridConfig, {"sample_fps": NAN}),
        (GridConfig, {"sample_fps": INF}),
        (GridConfig, {"sample_fps": 1e308}),
        (GridConfig, {"sample_fps": 10**400}),
        (ScoreConfig, {"alpha": 10**400}),
        (ProposalConfig, {"gamma_time": 10**400}),
        (GridConfig, {"sample_fps": "4"}),
        (GridConfig, {"sample_fps": True}),
        (GridConfig, {"sample_fps": None}),
        (GridConfig, {"max_frames": 0}),
        (GridConfig, {"short_side": 15}),
        (GridConfig, {"max_closer": -1}),
        (ProposalConfig, {"bins": (8, 4)}),
        (ProposalConfig, {"bins": (8, 4, 0)}),
        (ProposalConfig, {"bins": ()}),
        (ProposalConfig, {"bins": (8, 4, 4.5)}),
        (ProposalConfig, {"bins": (3000, 3000, 3000)}),
        (ProposalConfig, {"bins": 4}),
        (ProposalConfig, {"bins": "844"}),
        (ProposalConfig, {"seed": None}),
        (ProposalConfig, {"seed": "x"}),
        (ProposalConfig, {"seed": -1}),
        (ProposalConfig, {"seed": 10**30}),
        (ProposalConfig, {"seed": 1.5}),
        (ProposalConfig, {"n_init": 1.5}),
        (ProposalConfig, {"k_max": 2.5}),
        (GridConfig, {"max_frames": 10.5}),
        (GridConfig, {"max_closer": "9"}),
        (GridConfig, {"short_side": True}),
        (EncodeConfig, {"max_encoded": INF}),
        (ProposalConfig, {"gamma_time": -1}),
        (ProposalConfig, {"gamma_time": NAN}),
        (ProposalConfig, {"k_min": 1}),
        (ProposalConfig, {"k_min": 5, "k_max": 4}),
        (ProposalConfig, {"n_init": 0}),
        (EncodeConfig, {"max_encoded": 0}),
        (ScoreConfig, {"alpha": 0.5}),
        (ScoreConfig, {"alpha": -0.4, "beta": 1.0}),
        (ScoreConfig, {"beta": NAN}),
        (ScoreConfig, {"pooling": "max"}),
        (ScoreConfig, {"temperature": 0}),
        (ScoreConfig, {"temperature": NAN}),
        (SelectConfig, {"policy": "best"}),
        (SelectConfig, {"sharpness": 0}),
        (SelectConfig, {"sharpness": INF}),
        (SelectConfig, {"near_seconds": 0}),
        (SelectConfig, {"near_seconds": 1e-320}),
        (SelectConfig, {"near_seconds": NAN}),
        (SelectConfig, {"near_seconds": INF}),
        (SelectConfig, {"max_gap_seconds": 0}),
        (SelectConfig, {"max_gap_seconds": INF}),
        (SelectConfig, {"max_gap_seconds": 9, "policy": "top"}),
        (SelectConfig, {"max_frames": 0}),
        (SelectConfig, {"max_frames": 2.5}),
        (ClipsConfig, {"mode": "even"}),
        (ClipsConfig, {"contrast": 0}),
        (ClipsConfig, {"contrast": NAN}),
        (ClipsConfig, {"min_seconds": 0}),
        (ClipsConfig, {"min_seconds": NAN}),
        (ClipsConfig, {"max_seconds": 3.9}),
        (ClipsConfig, {"max_seconds": INF}),
        (ClipsConfig, {"scorer": 7}),
        (ClipsConfig, {"scorer_share": 1.1}),
        (JudgeConfig, {"num_frames": 0}),
        (JudgeConfig, {"short_side": 15}),
        (JudgeConfig, {"max_new_tokens": 0}),
        (LlmvsConfig, {"model": 7}),
        (LlmvsConfig, {"head": 7}),
        (LlmvsConfig, {"window": 4}),
        (LlmvsConfig, {"window": -1}),
        (LlmvsConfig, {"reading": "backwards"}),
        (LlmvsConfig, {"answer": "yes"}),
        (LlmvsConfig, {"short_side": 15}),
        (SamplerConfig, {"guide": "answer"}),
        (SamplerConfig, {"split": "all"}),
    ],
)
def test_a_value_out_of_range_is_one_line_that_names_it(
    config: Callable[..., object], bad: dict[str, Any]
) -> None:
    with pytest.raises(InputError) as caught:
        config(**bad)
    message = str(caught.value)
    assert "\n" not in message
    assert any(name in message or "weights" in message for name in bad)


def test_json_keeps_every_setting() -> None:
    config = SamplerConfig(
        grid=GridConfig(kind="keyframes", max_frames=99),
        proposal=ProposalConfig(bins=(4, 2, 2), k_max=17, gamma_time=7.5),
        encode=EncodeConfig(max_encoded=5),
        score=ScoreConfig(alpha=0.1, beta=0.2, gamma=0.7, pooling="text"),
        select=SelectConfig(policy="top", near_seconds=0.1),
        clips=ClipsConfig(mode="hybrid", scorer="a model"),
        judge=JudgeConfig(num_frames=256),
        llmvs=LlmvsConfig(model="a model", reading="pass"),
        guide="both",
    )
    again = SamplerConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.to_dict() == config.to_dict()
    assert hash(again) == hash(config)


def test_what_is_absent_keeps_its_default() -> None:
    assert SamplerConfig.from_dict({}) == SamplerConfig()
    given = SamplerConfig.from_dict({"score": {"pooling": "text"}})
    assert given == SamplerConfig(score=ScoreConfig(pooling="text"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"scores": {}},
            r"SamplerConfig: unknown setting 'scores' \(did you mean 'score'\?\); the settings "
            "are: grid, proposal, encode, score, select, clips, judge, llmvs, guide, split, "
            "route, heard, written, index$",
        ),
        ({"sample_fps": 4}, r"unknown setting 'sample_fps' \(did you mean 'grid.sample_fps'\?\)"),
        (
            {"score": {"colour": 1}},
            "ScoreConfig: unknown setting 'colour'; the settings are: alpha, ",
        ),
        (
            {"grid": {"sample_fp": 1}},
            r"GridConfig: unknown setting 'sample_fp' \(did you mean 'sample_fps'\?\)",
        ),
        ({"score": {"temperature": 0}}, "ScoreConfig: temperature 0"),
        ({"score": {"temperature": "hot"}}, "ScoreConfig: temperature 'hot' is not a number"),
        ({"score": None}, "ScoreConfig: expected a dict of settings, got None"),
        ({"score": "text"}, "ScoreConfig: expected a dict of settings, got 'text'"),
        ({"score": GridConfig()}, "ScoreConfig: expected a dict of settings, got GridConfig"),
        ({"guide": "answer"}, "guide 'answer'"),
        ({"heard": True}, "heard True is not a folder or a name of a speech model"),
        ({"written": 1}, "written 1 is not true or false"),
    ],
)
def test_what_is_no_config_is_one_clear_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SamplerConfig.from_dict(values)
    assert "\n" not in str(caught.value)


def test_settings_are_given_made_as_a_dict_or_not_at_all() -> None:
    config = SamplerConfig(grid=GridConfig(sample_fps=4))
    assert SamplerConfig.of(config) is config
    assert SamplerConfig.of({"grid": {"sample_fps": 4}}) == config
    assert SamplerConfig.of({"grid": GridConfig(sample_fps=4)}) == config
    assert SamplerConfig.of(None) == SamplerConfig.of({}) == SamplerConfig()
    nothing: Any = "fast"
    with pytest.raises(InputError, match="expected a dict of settings, got 'fast'"):
        SamplerConfig.of(nothing)


def test_numbers_of_numpy_are_kept_as_the_same_settings_and_written_as_json() -> None:
    values: dict[str, Any] = {
        "grid": {"sample_fps": np.float32(4), "max_frames": np.int64(9)},
        "proposal": {"bins": np.array([4, 2, 2]), "seed": np.uint8(7), "k_max": np.int32(5)},
        "score": {"temperature": np.float64(0.25)},
    }
    config = SamplerConfig.from_dict(values)
    assert config == SamplerConfig(
        grid=GridConfig(sample_fps=4.0, max_frames=9),
        proposal=ProposalConfig(bins=(4, 2, 2), seed=7, k_max=5),
        score=ScoreConfig(temperature=0.25),
    )
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert type(config.score.temperature) is float


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("unifrom", "uniform"),
        ("Uniform", "uniform"),
        ("wfs_sb", "wfs-sb"),
        ("sample-fps", "grid.sample_fps"),
        ("policy", "select.policy"),
    ],
)
def test_a_name_that_was_mistyped_is_found(typed: str, meant: str) -> None:
    assert hint(typed, [*SAMPLERS, *SamplerConfig.names()]) == f" (did you mean {meant!r}?)"
    assert hint("banana", [*SAMPLERS, *SamplerConfig.names()]) == ""
