"""Losses against their definitions, written slowly."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.losses import (  # noqa: E402 - behind the skip
    AngularMargin,
    Softmax,
    Teachers,
    build_classifier,
    similarity_loss,
)
from rtspk.train.recipe import LossConfig  # noqa: E402


def test_the_angular_margin_is_its_definition():
    torch.manual_seed(0)
    loss = AngularMargin(8, 5, scale=10.0)
    embeddings, speakers = torch.randn(6, 8), torch.tensor([0, 1, 2, 3, 4, 0])
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    weight = loss.weight / loss.weight.norm(dim=1, keepdim=True)
    angles = torch.acos(unit @ weight.T).detach()
    total = 0.0
    for row, speaker in enumerate(speakers.tolist()):
        logits = [10.0 * math.cos(angles[row, c] + (0.3 if c == speaker else 0.0)) for c in range(5)]
        total += math.log(sum(math.exp(x) for x in logits)) - logits[speaker]
    assert loss(embeddings, speakers, 0.3).item() == pytest.approx(total / 6, rel=1e-4)


def test_without_a_margin_it_is_a_cosine_softmax():
    torch.manual_seed(1)
    loss = AngularMargin(8, 3, scale=4.0)
    embeddings, speakers = torch.randn(5, 8), torch.tensor([0, 1, 2, 1, 0])
    cosine = torch.nn.functional.normalize(embeddings) @ torch.nn.functional.normalize(loss.weight).T
    expected = torch.nn.functional.cross_entropy(4.0 * cosine, speakers)
    assert loss(embeddings, speakers, 0.0).item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_larger_margin_is_a_larger_loss():
    torch.manual_seed(2)
    loss = AngularMargin(8, 3, scale=16.0)
    embeddings, speakers = torch.randn(32, 8), torch.randint(0, 3, (32,))
    values = [loss(embeddings, speakers, margin).item() for margin in (0.0, 0.1, 0.2, 0.4)]
    assert values == sorted(values)


def test_a_student_that_answers_as_its_teacher_has_no_distance():
    teachers = Teachers(4, [4])
    with torch.no_grad():
        teachers.heads[0].weight.copy_(torch.eye(4))
        teachers.heads[0].bias.zero_()
    target = torch.nn.functional.normalize(torch.randn(5, 4))
    assert teachers(3.0 * target, [target]).item() == pytest.approx(0.0, abs=1e-6)
    assert teachers(-target, [target]).item() == pytest.approx(2.0, abs=1e-5)


def test_similarity_is_taught_without_the_diagonal():
    unit = torch.eye(3)
    assert similarity_loss(unit, [unit]).item() == 0.0
    same = torch.ones(3, 3)
    assert similarity_loss(same, [unit]).item() == pytest.approx(1.0)


def test_the_margin_learns_nothing_from_nobody_known():
    torch.manual_seed(2)
    loss = AngularMargin(8, 3, scale=4.0)
    embeddings = torch.randn(4, 8)
    known = loss(embeddings[:2], torch.tensor([0, 2]), 0.2)
    assert loss(embeddings, torch.tensor([0, 2, -1, -1]), 0.2).item() == pytest.approx(known.item(), rel=1e-5)


def test_a_teacher_that_did_not_hear_teaches_nothing():
    torch.manual_seed(3)
    teachers = Teachers(8, [6, 4])
    embeddings = torch.randn(4, 8)
    heard = [torch.nn.functional.normalize(torch.randn(4, width)) for width in (6, 4)]
    deaf = [heard[0], heard[1] * torch.tensor([1.0, 1.0, 0.0, 0.0])[:, None]]
    apart = [
        1.0 - torch.cosine_similarity(h(embeddings), t) for h, t in zip(teachers.heads, heard, strict=True)
    ]
    wanted = (apart[0].mean() + apart[1][:2].mean()) / 2
    assert teachers(embeddings, deaf).item() == pytest.approx(wanted.item(), rel=1e-5)
    own = torch.nn.functional.normalize(embeddings)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    errors = []
    for i, j in pairs:
        tables = [heard[0], heard[1]] if max(i, j) < 2 else [heard[0]]
        errors.append((own[i] @ own[j] - sum(t[i] @ t[j] for t in tables) / len(tables)) ** 2)
    slow = torch.stack(errors).mean()
    assert similarity_loss(embeddings, deaf).item() == pytest.approx(slow.item(), rel=1e-4)


def slow_margin_loss(loss, embeddings, speakers, margin):
    """Additive margins over sub-centres, number by number; the angle stays below pi minus the margin."""
    total = 0.0
    for embedding, speaker in zip(embeddings, speakers.tolist(), strict=True):
        logits = []
        for c in range(len(loss.weight) // loss.subcentres):
            centres = loss.weight[c * loss.subcentres : (c + 1) * loss.subcentres]
            cosine = max(float(torch.cosine_similarity(embedding, centre, dim=0)) for centre in centres)
            if c == speaker:
                cosine = cosine - margin if loss.kind == "am" else math.cos(math.acos(cosine) + margin)
            logits.append(loss.scale * cosine)
        total += math.log(sum(math.exp(x) for x in logits)) - logits[speaker]
    return total / len(embeddings)


@pytest.mark.parametrize("kind", ["aam", "am"])
@pytest.mark.parametrize("subcentres", [1, 3])
def test_margins_and_subcentres_are_their_definition(kind, subcentres):
    torch.manual_seed(4)
    loss = AngularMargin(6, 4, 8.0, subcentres, kind)
    embeddings, speakers = torch.randn(5, 6), torch.tensor([0, 1, 2, 3, 1])
    with torch.no_grad():
        wanted = slow_margin_loss(loss, embeddings, speakers, 0.25)
    assert loss(embeddings, speakers, 0.25).item() == pytest.approx(wanted, rel=1e-4)


def test_plain_softmax_is_its_definition_and_learns_nothing_from_nobody_known():
    torch.manual_seed(5)
    loss = Softmax(6, 4)
    with torch.no_grad():
        loss.bias.normal_()
    embeddings, speakers = torch.randn(4, 6), torch.tensor([3, 0, 2, -1])
    total = 0.0
    for embedding, speaker in zip(embeddings[:3], speakers[:3].tolist(), strict=True):
        logits = [(w @ embedding + b).item() for w, b in zip(loss.weight, loss.bias, strict=True)]
        total += math.log(sum(math.exp(x) for x in logits)) - logits[speaker]
    assert loss(embeddings, speakers, 0.2).item() == pytest.approx(total / 3, rel=1e-4)


@pytest.mark.parametrize("kind", ["aam", "am", "softmax"])
def test_a_recipe_chooses_the_classifier_by_name(kind):
    torch.manual_seed(6)
    loss = build_classifier(LossConfig(classifier=kind, subcentres=2, scale=5.0), 6, 4)
    embeddings, speakers = torch.randn(3, 6), torch.tensor([0, 3, 2])
    cross_entropy = torch.nn.functional.cross_entropy(loss.logits(embeddings), speakers)
    assert loss(embeddings, speakers, 0.0).item() == pytest.approx(cross_entropy.item(), rel=1e-5)
    grown = loss(embeddings, speakers, 0.3).item()
    assert grown == pytest.approx(cross_entropy.item()) if kind == "softmax" else grown > cross_entropy.item()


@pytest.mark.parametrize("subcentres", [1, 2])
def test_a_placed_classifier_names_the_voices_that_it_was_placed_on(subcentres):
    torch.manual_seed(7)
    loss = AngularMargin(16, 5, 10.0, subcentres)
    voices = torch.randn(5, 16)
    loss.place(voices)
    assert loss.logits(voices).argmax(1).tolist() == [0, 1, 2, 3, 4]
    if subcentres == 2:
        assert not torch.allclose(loss.weight[0], loss.weight[1], atol=1e-3)
