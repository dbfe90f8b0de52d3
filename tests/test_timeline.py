"""The picture shows every speaker, in any script, and is the same for the same turns."""

import re
import struct
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from rtspk import timeline
from rtspk.errors import ConfigError
from rtspk.timeline import draw_timeline
from rtspk.types import SAMPLE_RATE, Segment, Turn


def turn(start, end, label, name=None):
    return Turn(Segment(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)), label, name, 0.5, 0.9)


TALK = [turn(0, 4, "S1", "Anna"), turn(3, 6, "S2"), turn(7, 30, "S3", "Бен"), turn(31, 32, "S1", "Anna")]


def svg(tmp_path, turns, **options):
    path = tmp_path / "talk.svg"
    draw_timeline(turns, path, title=options.pop("title", "Talk"), **options)
    return path.read_text(encoding="utf-8")


def texts(picture):
    """Each text of an SVG with its style."""
    return {text: style for style, text in re.findall(r'<text style="([^"]*)"[^>]*>([^<]*)</text>', picture)}


def size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_a_png_is_1200_by_400_and_grows_with_many_speakers(tmp_path):
    draw_timeline(TALK, tmp_path / "few.png", title="Talk")
    assert size(tmp_path / "few.png") == (1200, 400)
    draw_timeline([turn(n, n + 1, f"S{n}") for n in range(30)], tmp_path / "many.png", title="Talk")
    width, height = size(tmp_path / "many.png")
    assert width == 1200
    assert height > 1000


@pytest.mark.parametrize("kind", ["png", "svg", "pdf", "PNG"])
def test_the_same_turns_give_the_same_file(tmp_path, kind):
    for name in ("one", "two"):
        draw_timeline(TALK, tmp_path / f"{name}.{kind}", title="Talk", reference=TALK)
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_enrolled_names_are_bold_and_labels_are_not(tmp_path):
    shown = texts(svg(tmp_path, TALK))
    assert {"Anna", "Бен", "S2"} <= shown.keys()
    assert not {"S1", "S3"} & shown.keys()
    assert "bold" in shown["Anna"] or "700" in shown["Anna"]
    assert "bold" not in shown["S2"]
    assert "700" not in shown["S2"]


def test_times_are_in_minutes_and_seconds(tmp_path):
    shown = texts(svg(tmp_path, TALK, end=80 * SAMPLE_RATE))
    assert {"0:00", "0:10", "1:20"} <= shown.keys()
    assert {"5.0 s", "3.0 s", "0:23"} <= shown.keys()  # how long each speaks
    long = texts(svg(tmp_path, [turn(0, 30_000, "S1")]))
    assert "8:00:00" in long


def test_the_truth_stands_above_the_answer_in_matching_colours(tmp_path):
    truth = [turn(0, 4, "B"), turn(3, 6, "A"), turn(7, 30, "C"), turn(40, 41, "D")]
    picture = svg(tmp_path, TALK, reference=truth)
    shown = texts(picture)
    assert {"Reference", "Answer", "A", "B", "C", "D"} <= shown.keys()
    drawn = [colour.upper() for colour in re.findall(r"fill: (#[0-9a-f]{6})", picture)]
    bars = [colour for colour in drawn if colour in timeline.COLOURS]
    assert set(bars) == set(timeline.COLOURS[:4])
    assert bars.count(timeline.COLOURS[3]) == 1  # D is nobody's
    assert bars.count(timeline.COLOURS[1]) == 2  # A is S2


def test_lanes_follow_the_first_words_and_turns_that_touch_or_overlap_are_one_stretch():
    talk = [
        turn(5, 6, "S2"),
        turn(4, 7, "S1", "Anna"),
        turn(3, 5.5, "S2"),
        turn(0, 3, "S2"),
        turn(8, 9, "S2"),
    ]
    two, anna = timeline._lanes(talk)
    assert (two.name, two.enrolled, anna.name, anna.enrolled) == ("S2", False, "Anna", True)
    assert two.stretches == (turn(0, 6, "").segment, turn(8, 9, "").segment)
    assert anna.stretches == (turn(4, 7, "").segment,)


def test_who_shares_no_time_with_anybody_has_a_colour_of_their_own():
    truth, answer = timeline._lanes([turn(0, 1, "A")]), timeline._lanes([turn(1, 2, "S1")])
    assert timeline._matched_colours(truth, answer) == [1]


def test_overlap_is_marked_only_where_there_is_some(tmp_path):
    assert any("several at once" in text for text in texts(svg(tmp_path, TALK)))
    alone = [turn(0, 4, "S1"), turn(4, 6, "S2"), turn(5, 7, "S2")]
    assert not any("several at once" in text for text in texts(svg(tmp_path, alone)))


def test_shared_time_is_that_counted_sample_by_sample():
    rng = np.random.default_rng(8)

    def lane():
        edges = np.cumsum(rng.integers(1, 6, 20))
        return timeline._Lane("x", False, tuple(Segment(int(a), int(b)) for a, b in edges.reshape(-1, 2)))

    for _ in range(50):
        one, other = lane(), lane()
        both = {s for part in one.stretches for s in range(part.start, part.end)} & {
            s for part in other.stretches for s in range(part.start, part.end)
        }
        parts = timeline._shared(one, other)
        assert sorted(s for part in parts for s in range(part.start, part.end)) == sorted(both)


@pytest.mark.parametrize(
    "name",
    ["山田太郎", "محمد", "שרה", "अनिता", "ᠮᠣᠩᠭᠣᠯ", "👩‍🚀", "$x_1$ & <b>", "a" * 200, "\U000f0000"],
)
def test_a_name_in_any_script_is_drawn_without_a_warning(tmp_path, name):
    for kind in ("png", "svg", "pdf"):
        draw_timeline([turn(0, 2, "S1", name)], tmp_path / f"talk.{kind}", title=f"Talk of {name}")
        assert (tmp_path / f"talk.{kind}").stat().st_size > 1000


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\udcff", "\ufffe"])
def test_what_is_no_sign_is_drawn_as_such(tmp_path, sign):
    for kind in ("png", "svg", "pdf"):
        path = tmp_path / f"talk.{kind}"
        draw_timeline([turn(0, 2, f"A{sign}B")], path, title=f"talk{sign}.wav")
        assert path.stat().st_size > 1000
    picture = (tmp_path / "talk.svg").read_bytes()
    ET.fromstring(picture)
    assert {"A\ufffdB", "talk\ufffd.wav"} <= texts(picture.decode()).keys()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", ""),
        ("Margaret", "Margaret"),
        ("Margarete", "Margare…"),
        ("山田太郎", "山田太郎"),
        ("山田太郎と", "山田太…"),
    ],
)
def test_of_a_long_name_stands_what_fits_and_wide_signs_take_two_places(name, shown):
    assert timeline._shortened(name, 8) == shown


def test_signs_of_formulas_and_markup_stay_as_they_are(tmp_path):
    picture = svg(tmp_path, [turn(0, 2, "S1", "$x_1$ & <b>")], title="Costs $5 and $6")
    assert {"$x_1$ &amp; &lt;b&gt;", "Costs $5 and $6"} <= texts(picture).keys()


def test_a_caption_stands_below_whole(tmp_path):
    caption = "latency 1 s: DER 40.6% as first said, 41.0% revised; collar 0 s, overlap scored, whole file"
    assert caption in texts(svg(tmp_path, TALK, title="x" * 200, caption=caption))


def test_silence_is_drawn_as_such(tmp_path):
    assert "no speech" in texts(svg(tmp_path, []))
    assert "no speech" in texts(svg(tmp_path, [turn(1, 1, "S1")]))
    assert {"Reference", "Answer", "A"} <= texts(svg(tmp_path, [], reference=[turn(0, 1, "A")])).keys()


@pytest.mark.parametrize("name", ["talk.gif", "talk", "png"])
def test_a_kind_of_picture_that_is_not_known_is_refused_in_one_line(tmp_path, name):
    with pytest.raises(ConfigError) as caught:
        draw_timeline(TALK, tmp_path / name, title="Talk")
    assert str(caught.value) == f"wanted a picture ending in .png, .svg, .pdf, got '{name}'"
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_no_figure_and_no_setting_behind(tmp_path):
    import matplotlib as mpl
    from matplotlib import _pylab_helpers

    before = dict(mpl.rcParams)
    draw_timeline(TALK, tmp_path / "talk.svg", title="Talk")
    assert dict(mpl.rcParams) == before
    assert _pylab_helpers.Gcf.figs == {}
