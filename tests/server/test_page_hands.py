"""Naming, merging and enrolling by hand, in real Chromium: with keys, a mouse and a finger."""

import json

import numpy as np
import pytest

from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.server.access import TokenEntry
from tests.server.chromium import Page, file_script, merge_lanes, name_lane, needs_chromium

pytestmark = needs_chromium

ENTER, ESCAPE = 13, 27
IS_NAMED = "[...document.querySelectorAll('.lane .head span')].some((e) => e.textContent === 'Zoë')"


@pytest.fixture
def finished(watched, serve, known) -> Page:
    """A page that has listened to a file of two people."""
    page = watched(serve(engine=known))
    page.do(file_script(DEMO / "conversation.opus"))
    page.until("document.getElementById('state').textContent === 'done'")
    return page


def talking(page: Page) -> None:
    """Listen until two people were heard."""
    page.press("listen")
    page.until("document.querySelectorAll('.lane').length >= 2")


def begin_drag(page: Page) -> tuple[float, float]:
    """Drag the second lane over the first one and hold it there; returns where."""
    x, y = page.middle(".lane .head", 1)
    over = page.middle(".lane .head", 0)
    page.mouse("mousePressed", x, y)
    page.mouse("mouseMoved", x, y - 20)
    page.mouse("mouseMoved", *over)
    assert page.do("document.querySelectorAll('.ghost').length") == 1
    return over


def test_enter_keeps_a_name(finished):
    finished.do("document.querySelector('.lane .head').click()")
    finished.do("document.getElementById('name-input').value = 'Zoë'")
    finished.key("Enter", ENTER)
    finished.until(IS_NAMED)


@pytest.mark.parametrize("closed", [False, True])
def test_a_stream_that_is_over_can_be_named_and_merged_before_it_is_downloaded(finished, closed):
    if closed:
        finished.do("sockets.at(-1).close()")
        finished.until("sockets.at(-1).readyState === WebSocket.CLOSED")
    name_lane(finished, 0, "Zoë")
    finished.until(IS_NAMED)
    merge_lanes(finished)
    finished.until("[...document.querySelectorAll('.lane .head span')].every((e) => e.textContent !== 'Ben')")
    assert finished.names()[0] == "Zoë"
    assert "Ben" not in finished.names()
    finished.do(
        "URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return '#'; };"
        "document.querySelector('[data-format=json]').click()"
    )
    finished.until("window.saved")
    whole = json.loads(str(finished.do("window.saved")))
    for part in ("segments", "speakers"):
        assert {"Zoë", "Ben"} & {one["name"] for one in whole[part]} == {"Zoë"}


def test_escape_lets_go_of_a_dragged_lane(watched, serve, known):
    page = watched(serve(engine=known))
    talking(page)
    over = begin_drag(page)
    page.key("Escape", ESCAPE)
    assert page.do("document.querySelectorAll('.ghost, .dragged, .target').length") == 0
    page.mouse("mouseReleased", *over)
    assert page.do("document.querySelectorAll('dialog[open]').length") == 0


def test_a_lane_that_goes_while_it_is_dragged_leaves_nothing_behind(watched, serve, known):
    page = watched(serve(engine=known))
    talking(page)
    gone = page.do("document.querySelectorAll('.lane')[1].dataset.label")
    begin_drag(page)
    merge_lanes(page)
    page.until(f"!document.querySelector('.lane[data-label={gone}]')")
    assert page.do("document.querySelectorAll('.ghost, .target').length") == 0


def test_a_finger_that_moves_on_a_lane_scrolls_and_merges_nobody(watched, serve, known):
    page = watched(serve(engine=known))
    page.size(360, 560, mobile=True)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    talking(page)
    (x, y), (_, end) = page.middle(".lane .head span", 1), page.middle(".lane .head span", 0)
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    for part in range(1, 11):
        point = {"x": x, "y": y + (end - y) * part / 10}
        page.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[point])
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.until("scrollY > 0")
    assert page.do("document.querySelectorAll('.ghost, dialog[open]').length") == 0
    assert page.do("document.querySelectorAll('.lane').length") >= 2


def test_closing_the_dialog_of_a_recording_enrols_nobody(watched, serve):
    fresh = Engine.load(":memory:", device="cpu")
    page = watched(serve(engine=fresh))
    page.press("enrol")
    page.do("document.getElementById('enrol-name').value = 'Kim'")
    page.do("document.getElementById('enrol-name').focus()")
    page.key("Enter", ENTER)
    page.until("parseFloat(document.getElementById('ring').style.strokeDashoffset) < 300")
    page.key("Escape", ESCAPE)
    page.until("!document.querySelector('dialog[open]') && !document.getElementById('enrol-record').disabled")
    assert page.do("tracks.map((track) => track.readyState)") == ["ended"]
    assert fresh.gallery.speakers() == []


def test_a_voice_that_is_kept_is_among_the_known_at_once(watched, serve):
    fresh = Engine.load(":memory:", device="cpu")
    page = watched(serve(engine=fresh))
    talking(page)
    page.do("document.querySelector('.lane .head').click()")
    page.do("document.getElementById('name-input').value = 'Kim'")
    page.do("document.getElementById('name-keep').click()")
    page.do("document.querySelector('#name-dialog [value=save]').click()")
    page.until("document.getElementById('voices').textContent.startsWith('Kim, ')")
    assert page.do("document.getElementById('known').options[0].value") == "Kim"


def test_a_voice_of_a_file_that_is_over_can_be_kept(watched, serve):
    fresh = Engine.load(":memory:", device="cpu")
    page = watched(serve(engine=fresh))
    page.do(file_script(DEMO / "conversation.opus"))
    page.until("document.getElementById('state').textContent === 'done'")
    assert page.do("document.getElementById('listen').getAttribute('aria-pressed')") == "false"
    page.do("document.querySelector('.lane .head').click()")
    page.do("document.getElementById('name-input').value = 'Kim'")
    page.do("document.getElementById('name-keep').click()")
    page.do("document.querySelector('#name-dialog [value=save]').click()")
    page.until("document.getElementById('voices').textContent.startsWith('Kim, ')")
    assert [one.name for one in fresh.gallery.speakers()] == ["Kim"]
    assert "Kim" in page.names()


def test_a_token_that_the_server_does_not_know_is_asked_for_in_the_settings(watched, serve, known):
    page = watched(serve(TokenEntry("web", token="listen-only-token"), engine=known))
    page.do("document.querySelector('.more').open = false")
    page.do(file_script(DEMO / "Anna.opus"))
    page.until("document.querySelector('.more').open && document.activeElement.id === 'token'")
    said = page.do("document.querySelector('#warnings li span').textContent")
    assert said == "The server wants a token that it knows: it goes into the settings."


def test_a_microphone_that_another_program_has_is_said_to_be_so(watched, serve, known):
    page = watched(serve(engine=known))
    page.do(
        "navigator.mediaDevices.getUserMedia = async () => "
        "{ throw new DOMException('Could not start audio source', 'NotReadableError') }"
    )
    page.press("listen")
    page.until("document.querySelectorAll('#warnings li').length")
    assert "another program" in page.do("document.querySelector('#warnings li span').textContent")
    assert page.do("document.getElementById('state').textContent") == "ready"


def test_a_token_that_may_only_listen_is_told_so_and_still_names(watched, serve, known):
    page = watched(serve(TokenEntry("web", token="listen-only-token"), engine=known))
    page.do("const token = document.getElementById('token'); token.value = 'listen-only-token'")
    page.do("token.dispatchEvent(new Event('change'))")
    page.press("enrol")
    page.until("document.getElementById('enrol-said').textContent.includes('scope enroll')")
    assert page.do("document.getElementById('enrol-record').disabled")
    page.do("document.getElementById('enrol-dialog').close()")
    talking(page)
    page.do("document.querySelector('.lane .head').click()")
    assert page.do("document.getElementById('name-keep').disabled")
    page.do("document.getElementById('name-input').value = 'Kim'")
    page.do("document.getElementById('name-keep').checked = true")  # as if it had been allowed until now
    page.do("document.querySelector('#name-dialog [value=save]').click()")
    page.until("[...document.querySelectorAll('.lane .head span')].some((e) => e.textContent === 'Kim')")


def test_nothing_that_is_said_makes_the_page_wider_than_a_phone(watched, serve, known):
    page = watched(serve(engine=known))
    page.size(360, 740, mobile=True)
    width = "document.documentElement.scrollWidth"
    talking(page)
    name_lane(page, 0, "W" * 200)
    page.until("[...document.querySelectorAll('.turns b')].some((who) => who.title.length === 200)")
    page.do("import('/notices.js').then(({ warn }) => warn('x'.repeat(300)))")
    assert page.do(width) == 360
    heights = page.do("[...document.querySelectorAll('.turns li')].map((turn) => turn.offsetHeight)")
    assert max(heights) < 70
    page.do("window.astray = true; sockets[0].close()")
    page.until("document.getElementById('state').dataset.state === 'reconnecting'")
    assert page.do(width) == 360


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_two_speakers_look_the_same_and_all_can_be_seen(browser, serve, engine, dark):
    page = browser()
    page.size(1000, 800, dark=dark)
    page.open(f"http://127.0.0.1:{serve(engine=engine).port}/")
    looks = page.do(
        """import("/looks.js").then(({ lookOf }) => Array.from({ length: 24 }, (_, n) => {
          const mark = document.createElement("i");
          mark.className = lookOf(`S${n + 1}`);
          document.body.append(mark);
          const style = getComputedStyle(mark);
          return ["--fill", "--own", "--card"].map((name) => style.getPropertyValue(name));
        }))"""
    )
    assert len({fill for fill, _, _ in looks}) == 24
    assert min(contrast(own, card) for _, own, card in looks) >= 3.0


def contrast(one: str, other: str) -> float:
    """Of two colours such as #0072b2, as WCAG 2 has it."""

    def light(colour: str) -> float:
        parts = [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    dim, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dim + 0.05)
