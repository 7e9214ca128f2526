"""docs/selection.schema.json describes the JSON that is really written."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from keyscore_plugin import (
    Caption,
    KeyScoreSampler,
    ScoredFrame,
    Selection,
    get_sampler,
    open_video,
)
from keyscore_plugin.video.samples import sample_video
from tests.support.colour_encoder import ColourEncoder
from tests.support.selections import SELECTION

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "selection.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def check(selection: Selection, *, curves: bool = False) -> None:
    VALIDATOR.validate(json.loads(selection.to_json(curves=curves)))


def test_the_schema_is_one_and_names_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == {"format", *(field.name for field in fields(Selection))}
    assert set(SCHEMA["required"]) == set(SELECTION.to_dict())
    frame = SCHEMA["$defs"]["scored_frame"]["properties"]
    assert list(frame) == [field.name for field in fields(ScoredFrame)]


def test_it_describes_what_samplers_choose() -> None:
    bikes = sample_video("bikes")
    keyscore = KeyScoreSampler(encoder=ColourEncoder())
    check(get_sampler("uniform")(bikes, num_frames=4))
    check(get_sampler("stacfp")(bikes))
    check(keyscore(bikes, num_frames=4, caption="a red tram"), curves=True)
    clips = get_sampler("clips", encoder=ColourEncoder())
    check(clips(bikes, num_frames=4, caption="a red tram"))
    check(keyscore(bikes, threshold=0.8, question="is it red ?"))


def test_it_describes_a_choice_among_pictures_from_a_part_by_a_generated_caption() -> None:
    with open_video(sample_video("carphone")) as video:
        pictures = list(video.read(range(0, 90, 10)).pixels.numpy())
    check(get_sampler("stacfp")(pictures, num_frames=3, fps=10))
    caption = Caption("a man in a car", "generated", "labels")
    part = replace(SELECTION, start_seconds=1.5, end_seconds=3.0)
    check(replace(part, caption=caption, captioner="labels"))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"indices": [1.5]},
        {"indices": [1, 1]},
        {"caption": {"text": "a dog"}},
        {"looked_at": {"kind": "some", "n_first": 1, "n_closer": 0}},
        {"clips": {"starts": [], "ends": []}},
        {"notes": "none"},
    ],
)
def test_it_describes_nothing_else(changes: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**SELECTION.to_dict(), **changes})
