"""Crops in stretches: a trunk hears each by itself, as it hears a stream, and says nearly the same."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.residual_conformer import ResidualConformer, ResidualConformerConfig  # noqa: E402 - behind the skip
from rtspk.engine.trunk import picture  # noqa: E402
from rtspk.train.stretches import ROWS, embed_in_stretches, stretches  # noqa: E402

MELS = 16


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = ResidualConformerConfig(channels=4, blocks=(1, 1, 1, 1), inner=(4, 4, 4, 4))
    return ResidualConformer(config, MELS).eval()


def speech(rows, batch=2):
    torch.manual_seed(rows)
    return torch.randn(batch, rows, MELS), torch.ones(batch, rows)


@pytest.mark.parametrize(("rows", "offset", "count"), [(48, 0, 1), (49, 0, 2), (96, 8, 3), (100, 40, 3)])
def test_every_row_is_in_one_stretch(rows, offset, count):
    features, mask = speech(rows)
    pictures, on = stretches(features, mask, offset, 10_000)
    assert pictures.shape == (2, count, ROWS, MELS)
    assert on.shape == (2, count * ROWS // 8)
    heard = pictures.abs().sum(3).flatten(1) > 0
    assert heard[:, offset : offset + rows].all()
    assert int(heard.sum()) == 2 * rows


def test_a_stretch_is_less_the_mean_of_what_was_heard_up_to_its_end():
    features, mask = speech(144)
    mask[:, 60:70] = 0.0
    pictures, _ = stretches(features, mask, 0, 100)
    heard = torch.cat([features[:, 44:60], features[:, 70:144]], 1)  # the last 100 rows up to the end
    wanted = features[:, 96:144] - heard.mean(1, keepdim=True)
    assert torch.allclose(pictures[:, 2], wanted, atol=1e-5)
    assert not pictures[:, 1, 60 - 48 : 70 - 48].any()


def test_a_stream_hears_the_picture_that_training_hears():
    features, mask = speech(4 * ROWS, batch=1)
    mask[:, 70:95] = mask[:, 150:160] = 0.0
    rows, on = features[0].numpy(), mask[0].numpy()
    pictures, _ = stretches(features, mask, 0, 150)
    streamed = picture(rows[-150:], on[-150:])[-ROWS:]
    assert pictures[0, -1].numpy() == pytest.approx(streamed, abs=1e-5)


def test_frames_are_on_where_most_of_their_rows_are_or_any_where_none_has_most():
    features, mask = torch.zeros(2, 48, MELS), torch.zeros(2, 48)
    mask[0, 0:5] = mask[0, 8:12] = 1.0
    mask[1, 8:12] = 1.0
    on = stretches(features, mask, 0, 100)[1]
    assert on.tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]


def test_a_crop_of_one_stretch_is_the_whole(network, monkeypatch):
    features, mask = speech(ROWS)
    monkeypatch.setattr("torch.randint", lambda low, *_: torch.tensor(low))  # no offset
    assert torch.allclose(embed_in_stretches(network, features, mask), network(features, mask), atol=1e-5)


def test_the_mask_hides_what_is_behind_it(network):
    features, mask = speech(150)
    mask[:, 100:] = 0.0
    torch.manual_seed(3)
    one = embed_in_stretches(network, features, mask)
    features[:, 100:] = 100.0
    torch.manual_seed(3)
    assert torch.allclose(embed_in_stretches(network, features, mask), one, atol=1e-5)
