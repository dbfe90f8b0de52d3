"""What is said of a segmenter: what it is, what it was made from, and what was measured of it."""

import pytest

pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.segmenter_network import SegmenterConfig, SegmenterNetwork
from rtspk.train.recurrent_recipe import RecurrentDataConfig, RecurrentRecipe
from rtspk.train.segmenter_card import RATES, activity_text, recurrent_text
from rtspk.train.segmenter_recipe import SegmenterRecipe

ERROR = dict(zip(RATES, (0.25, 0.125, 0.0625, 0.0625), strict=True))
ROW = "| 25.0% | 12.5% | 6.2% | 6.2% |"


def test_a_network_that_hears_log_mel_is_described_with_what_was_measured():
    small = SegmenterConfig(channels=4, width=16, blocks=1, heads=2)
    recipe = SegmenterRecipe("small", "segmenter", model=small)
    network = SegmenterNetwork(small, recipe.features.mels)
    text = activity_text(recipe, "small-1234", 30, network, ERROR)
    assert text.startswith("# small-1234\n")
    assert "`rtspk train small` (seed 0, 30 steps)" in text
    assert ROW in text
    assert "local DER" not in activity_text(recipe, "small-1234", 30, network, {})


def test_recurrences_are_described_with_whom_they_are_to_agree():
    recipe = RecurrentRecipe("half", "recurrent-segmenter", data=RecurrentDataConfig(development="dev"))
    text = recurrent_text(recipe, 30, ERROR)
    assert text.startswith("# half\n")
    assert "`segmentation-3.0.onnx`, whose recurrences hear 2 frames at a step" in text
    assert "on `dev`" in text
    assert ROW in text
    assert "local DER" not in recurrent_text(recipe, 30, {})
