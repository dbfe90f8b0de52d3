"""The page in real Chromium, with a file for its microphone."""

import json
from collections.abc import Callable

import pytest

from rtspk.cli.output import rendered
from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.remote import to_event
from rtspk.server.wire import read_server_message
from rtspk.transcript import Transcript
from tests.server.chromium import Page, file_script, needs_chromium

pytestmark = needs_chromium

LINES = """[...document.querySelectorAll('.turns li')].map(({ children: [time, who, length] }) =>
  [time.textContent, who.textContent, length.textContent])"""


def segment(id_: int, rev: int, start: float, end: float, speaker: str, **more: object) -> dict[str, object]:
    whole = {"id": id_, "rev": rev, "start": start, "end": end, "speaker": speaker, "name": None}
    sure = {"score": 0.6, "confidence": 0.5 + id_ / 100, "overlap": False}
    return {"type": "segment", **whole, "state": "final", **sure, **more}


def cut_turns() -> list[dict[str, object]]:
    """A turn of two people that is cut, one of whom spoke on beside it, and one that goes on in another."""
    split = {"id": 2, "rev": 2, "speaker": "S3", "name": None, "reason": "split"}
    back = {"id": 4, "rev": 2, "speaker": "S3", "name": None, "reason": "corrected"}
    return [
        {"type": "speaker", "event": "new", "speaker": "S1"},
        {"type": "speaker", "event": "new", "speaker": "S2"},
        segment(1, 1, 12.0, 18.0, "S1"),
        {"type": "speaker", "event": "new", "speaker": "S3"},
        segment(2, 1, 0.0, 10.0, "S2"),
        {"type": "revise", "changes": [split]},
        segment(2, 3, 0.0, 3.0, "S3"),
        segment(3, 1, 3.0, 6.5, "S2"),
        segment(4, 1, 6.5, 10.0, "S2"),
        segment(5, 1, 8.0, 11.0, "S3"),
        {"type": "revise", "changes": [back]},
        segment(6, 1, 18.0, 21.0, "S1"),
    ]


def test_the_microphone_shows_the_right_names_live_and_a_lane_can_be_named(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.size(1200, 860)
    page.shot("1-start")
    page.press("listen")
    page.until("document.querySelectorAll('.lane.named').length >= 2")
    assert {"Anna", "Ben"} <= set(page.names())
    page.until("document.getElementById('lag').textContent.endsWith('s')")
    page.shot("2-live")
    page.do("[...document.querySelectorAll('.lane .head')].find(e => e.innerText.includes('Anna')).click()")
    page.shot("3-name")
    page.do("document.getElementById('name-input').value = 'Zoë'")
    page.do("document.querySelector('#name-dialog [value=save]').click()")
    page.until("[...document.querySelectorAll('.lane .head')].some(e => e.innerText.includes('Zoë'))")
    page.until("[...document.querySelectorAll('.turns b')].some(e => e.textContent === 'Zoë')")
    page.until("[...document.querySelectorAll('.turns b')].every(e => e.textContent !== 'Anna')")
    page.press("listen")
    page.until("document.getElementById('state').textContent === 'done'")
    page.size(1200, 860, dark=True)
    page.shot("4-done-dark")
    page.size(390, 844, mobile=True)
    page.shot("5-phone")
    assert page.complaints == []


def test_a_dropped_file_is_labelled_and_its_downloads_are_the_command_lines(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.do(
        "{ const make = URL.createObjectURL; URL.createObjectURL = (blob) => {"
        " blob.text().then((text) => (window.saved = text)); return make.call(URL, blob); } }"
    )
    page.do(file_script(DEMO / "conversation.opus"))
    page.until("document.getElementById('state').textContent === 'done'")
    page.shot("6-file")
    assert {"Anna", "Ben"} <= set(page.names())
    page.do("document.querySelector('[data-format=rttm]').click()")
    page.until("window.saved")
    rttm = str(page.do("window.saved"))
    assert rttm.startswith("SPEAKER my_talk 1 ")
    page.until(f"document.querySelectorAll('.turns li').length === {len(rttm.splitlines())}")
    assert {"Anna", "Ben"} <= {line.split()[7] for line in rttm.splitlines()}
    page.do("window.saved = null; document.querySelector('[data-format=json]').click()")
    page.until("window.saved")
    whole = json.loads(str(page.do("window.saved")))
    assert {"file", "audio_ms", "speakers", "segments"} == set(whole)
    assert page.complaints == []


@pytest.mark.parametrize("format_", ["rttm", "srt", "json"])
@pytest.mark.parametrize("is_cut", [False, True], ids=["as heard", "cut"])
def test_a_download_is_what_the_command_line_writes_of_the_same_events(
    browser, serve, engine, local_events, is_cut, format_
):
    numbered = [
        {**event, "seq": n} for n, event in enumerate(cut_turns() if is_cut else local_events, start=1)
    ]
    transcript = Transcript()
    transcript.apply_all(to_event(read_server_message(json.dumps(event))) for event in numbered)
    page = browser()
    page.open(f"http://127.0.0.1:{serve(engine=engine).port}/")
    downloaded = page.do(
        f"""(async () => {{
          const {{ Transcript }} = await import("/transcript.js");
          const downloads = await import("/downloads.js");
          const transcript = new Transcript();
          for (const event of {json.dumps(numbered)}) transcript.apply(event);
          return downloads.{format_}(transcript, "my talk");
        }})()"""
    )
    wanted = rendered(format_, transcript, "my talk")
    if format_ == "json":
        assert close(json.loads(str(downloaded)), json.loads(wanted))
    else:
        assert downloaded == wanted


def close(one: object, other: object) -> bool:
    """Alike, but for the last digit of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= 0.0011
    return one == other


@pytest.fixture
def listed(browser, serve, engine) -> Callable[[list[dict[str, object]]], Page]:
    """Gives events to the list of turns of a page that hears nothing else, and waits until it is drawn."""
    page = browser()
    page.size(1000, 800)
    page.open(f"http://127.0.0.1:{serve(engine=engine).port}/")
    page.do(
        """(async () => {
          const { Transcript } = await import("/transcript.js");
          const { Turns } = await import("/turns.js");
          const transcript = new Transcript();
          const turns = new Turns(document.getElementById("turns"), transcript);
          window.hear = (events) => turns.update(events.flatMap((event) => transcript.apply(event)));
        })()"""
    )

    def hear(events: list[dict[str, object]]) -> Page:
        page.do(f"(hear({json.dumps(events)}), new Promise((drawn) => requestAnimationFrame(drawn)))")
        return page

    return hear


def test_turns_that_touch_and_are_one_persons_are_one_line_as_in_files(listed):
    page = listed([segment(2, 1, 0.0, 10.0, "S2", state="tentative")])
    assert page.do(LINES) == [["0:00", "Speaker 2", "10.0 s"]]
    listed(cut_turns())
    assert page.do(LINES) == [
        ["0:00", "Speaker 3", "3.0 s"],
        ["0:03", "Speaker 2", "3.5 s"],
        ["0:06", "Speaker 3", "4.5 s"],
        ["0:12", "Speaker 1", "9.0 s"],
    ]
    page.shot("9-cut")
    listed([segment(7, 1, 21.0, 22.0, "S1", state="tentative")])
    assert page.do(LINES)[3] == ["0:12", "Speaker 1", "10.0 s"]
    assert page.do("[...document.querySelectorAll('.turns li')].map((e) => e.className)")[2:] == [
        "",
        "tentative",
    ]
    listed([segment(7, 2, 21.0, 22.0, "S1")])
    assert page.do("document.querySelectorAll('.turns .tentative').length") == 0
    listed([{"type": "speaker", "event": "merged", "speaker": "S2", "into": "S3"}])
    assert page.do(LINES) == [["0:00", "Speaker 3", "11.0 s"], ["0:12", "Speaker 1", "10.0 s"]]
    assert page.complaints == []


def test_of_hours_of_turns_the_last_are_listed_and_earlier_ones_come_where_some_become_one(listed):
    page = listed([segment(n, 1, 10.0 * n, 10.0 * (n + 1), f"S{1 + n % 2}") for n in range(1, 1001)])
    lines = page.do(LINES)
    assert (len(lines), lines[0][0], lines[-1][0]) == (200, "2:13:30", "2:46:40")
    change = {"rev": 2, "speaker": "S1", "name": None, "reason": "corrected"}
    listed([{"type": "revise", "changes": [{"id": n, **change} for n in range(901, 1001)]}])
    lines = page.do(LINES)
    assert (len(lines), lines[0][0]) == (200, "1:56:50")
    assert lines[-1] == ["2:30:00", "Speaker 1", "1010.0 s"]


def test_two_lanes_are_merged_by_dragging_one_onto_the_other(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.lane').length >= 2")
    before = page.names()
    places = page.do(
        "[...document.querySelectorAll('.lane .head')].map(e => e.getBoundingClientRect())"
        ".map(r => [r.x + 40, r.y + r.height / 2])"
    )
    (x, y), (to_x, to_y) = places[1], places[0]
    page.mouse("mousePressed", x, y)
    for part in (0.3, 0.6, 1.0):
        page.mouse("mouseMoved", x + (to_x - x) * part, y + (to_y - y) * part)
    page.shot("7-drag")
    page.mouse("mouseReleased", to_x, to_y)
    page.do("document.querySelector('#merge-dialog [value=save]').click()")
    page.until(f"document.querySelectorAll('.lane').length < {len(before)}")
    page.press("listen")
    page.until("document.getElementById('state').textContent === 'done'")
    assert page.complaints == []


def test_a_voice_is_enrolled_from_the_microphone(watched, serve):
    fresh = Engine.load(":memory:", device="cpu")
    server = serve(engine=fresh)
    page = watched(server)
    page.press("enrol")
    page.do("document.getElementById('enrol-name').value = 'Kim'")
    page.press("enrol-record")
    page.until("parseFloat(document.getElementById('ring').style.strokeDashoffset) < 200")
    page.shot("8-enrol")
    page.until("document.getElementById('enrol-said').textContent.startsWith('Kim: ')")
    assert [record.name for record in fresh.gallery.speakers()] == ["Kim"]
    assert page.complaints == []


def test_a_broken_connection_is_resumed_without_a_word(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.turns li').length >= 1")
    place = next(iter(server.app._hub._places))
    place.link.socket.loop.call_soon_threadsafe(place.link.cut)
    page.until("document.getElementById('state').dataset.state === 'reconnecting'")
    page.until("document.getElementById('state').dataset.state === 'open'")
    page.until("document.querySelectorAll('.lane').length >= 2")
    page.press("listen")
    page.until("document.getElementById('state').textContent === 'done'")
    assert server.request("GET", "/metrics")[1].decode().count("rtspk_sessions_resumed_total 1.0") == 1
    assert page.complaints == []
