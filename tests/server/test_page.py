"""The page in real Chromium, with a file for its microphone."""

import json

import pytest

from rtspk.cli.output import rendered
from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.remote import to_event
from rtspk.server.wire import read_server_message
from rtspk.transcript import Transcript
from tests.server.chromium import file_script, needs_chromium

pytestmark = needs_chromium


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
    assert {"Anna", "Ben"} <= {line.split()[7] for line in rttm.splitlines()}
    page.do("window.saved = null; document.querySelector('[data-format=json]').click()")
    page.until("window.saved")
    whole = json.loads(str(page.do("window.saved")))
    assert {"file", "audio_ms", "speakers", "segments"} == set(whole)
    assert page.complaints == []


@pytest.mark.parametrize("format_", ["rttm", "srt", "json"])
def test_a_download_is_what_the_command_line_writes_of_the_same_events(
    browser, serve, engine, local_events, format_
):
    numbered = [{**event, "seq": n} for n, event in enumerate(local_events, start=1)]
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
