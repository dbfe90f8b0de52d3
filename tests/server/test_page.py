"""The page in real Chromium, with a file for its microphone."""

import base64
import contextlib
import http.client
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import serve as serve_words

from rtspk.audio import read_audio, write_wav
from rtspk.cli.output import rendered
from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.remote import to_event
from rtspk.server.messages import read_server_message
from rtspk.transcript import Transcript
from rtspk.types import samples_of

PATIENCE = 60.0
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = os.environ.get("RTSPK_SCREENSHOTS")  # a folder, to look at what was seen

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")


class Page:
    """One tab, driven over Chromium's own protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            self._listen(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _listen(self, message: dict) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(message["params"]["exceptionDetails"]))
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.complaints.append(message["params"]["entry"]["text"])

    def do(self, script: str) -> object:
        """The value of a script, waited for."""
        found = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until a script is true, asking each time the page has drawn."""
        deadline = time.monotonic() + PATIENCE
        while not self.do(f"new Promise(done => setTimeout(() => done(Boolean({script})), 50))"):
            assert time.monotonic() < deadline, f"{script} never came: {self.do('document.body.innerText')}"

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until("document.documentElement?.dataset.ready")

    def size(self, width: int, height: int, *, mobile: bool = False, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def shot(self, name: str) -> None:
        if SHOTS:
            data = self.call("Page.captureScreenshot", format="png")["data"]
            (Path(SHOTS) / f"{name}.png").write_bytes(base64.b64decode(data))

    def names(self) -> list[str]:
        return list(self.do("[...document.querySelectorAll('.lane .head span')].map(e => e.textContent)"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Callable[[], Page]]:
    """Chromium whose microphone hears the conversation once, then silence."""
    folder = tmp_path_factory.mktemp("browser")
    sound = read_audio(DEMO / "conversation.opus")
    write_wav(folder / "microphone.wav", np.concatenate([sound, np.zeros(samples_of(60.0), np.float32)]))
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder / 'profile'}",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}%noloop",
        "about:blank",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process, contextlib.ExitStack() as links:
        address = ""
        while "DevTools listening on " not in address:
            address = process.stderr.readline()
            assert address, "Chromium did not start"
        port = int(address.split("127.0.0.1:")[1].split("/")[0])

        def tab() -> Page:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            with contextlib.closing(connection):
                connection.request("PUT", "/json/new?about:blank")
                url = json.loads(connection.getresponse().read())["webSocketDebuggerUrl"]
            return Page(links.enter_context(connect(url, max_size=None, proxy=None)))

        try:
            yield tab
        finally:
            process.terminate()
            process.stderr.read()


@pytest.fixture(scope="module")
def known() -> Engine:
    """An engine whose gallery knows Anna and Ben."""
    fresh = Engine.load(":memory:", device="cpu")
    for name in ("Anna", "Ben"):
        fresh.enroll(name, DEMO / f"{name}.opus")
    return fresh


def test_the_microphone_shows_the_right_names_live_and_a_lane_can_be_named(browser, serve, known):
    server = serve(engine=known)
    page = browser()
    page.size(1200, 860)
    page.open(f"http://127.0.0.1:{server.port}/")
    page.shot("1-start")
    page.do("document.getElementById('listen').click()")
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
    page.do("document.getElementById('listen').click()")
    page.until("document.getElementById('state').textContent === 'done'")
    page.size(1200, 860, dark=True)
    page.shot("4-done-dark")
    page.size(390, 844, mobile=True)
    page.shot("5-phone")
    assert page.complaints == []


def test_a_button_that_is_pressed_twice_begins_one_session(browser, serve, known):
    server = serve(engine=known)
    page = browser()
    page.open(f"http://127.0.0.1:{server.port}/")
    page.do(
        "{ const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices); window.opened = 0;"
        " navigator.mediaDevices.getUserMedia = (what) => { window.opened += 1; return open(what); } }"
    )
    page.do("for (let n = 0; n < 2; n += 1) document.getElementById('listen').click()")
    page.until("document.getElementById('state').dataset.state === 'open'")
    page.do("document.getElementById('listen').click()")
    page.until("document.getElementById('state').textContent === 'done'")
    assert page.do("window.opened") == 1
    assert b"rtspk_sessions_started_total 1.0" in server.request("GET", "/metrics")[1]
    assert page.complaints == []


def file_script(path: Path) -> str:
    """Drop a file onto the page, as a person does."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f"""
    (() => {{
      const bytes = Uint8Array.from(atob("{data}"), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "my talk.opus", {{ type: "audio/ogg" }}));
      dispatchEvent(new DragEvent("drop", {{ dataTransfer: transfer, bubbles: true, cancelable: true }}));
    }})()
    """


def test_a_dropped_file_is_labelled_and_its_downloads_are_the_command_lines(browser, serve, known):
    server = serve(engine=known)
    page = browser()
    page.size(1000, 800)
    page.open(f"http://127.0.0.1:{server.port}/")
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


def test_two_lanes_are_merged_by_dragging_one_onto_the_other(browser, serve, known):
    server = serve(engine=known)
    page = browser()
    page.size(1000, 800)
    page.open(f"http://127.0.0.1:{server.port}/")
    page.do("document.getElementById('listen').click()")
    page.until("document.querySelectorAll('.lane').length >= 2")
    before = page.names()
    places = page.do(
        "[...document.querySelectorAll('.lane .head')].map(e => e.getBoundingClientRect())"
        ".map(r => [r.x + 40, r.y + r.height / 2])"
    )
    (x, y), (to_x, to_y) = places[1], places[0]
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    page.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
    for part in (0.3, 0.6, 1.0):
        page.call(
            "Input.dispatchMouseEvent",
            type="mouseMoved",
            x=x + (to_x - x) * part,
            y=y + (to_y - y) * part,
            **mouse,
        )
    page.shot("7-drag")
    page.call("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, **mouse)
    page.until(f"document.querySelectorAll('.lane').length < {len(before)}")
    page.do("document.getElementById('listen').click()")
    page.until("document.getElementById('state').textContent === 'done'")
    assert page.complaints == []


def test_a_voice_is_enrolled_from_the_microphone(browser, serve):
    fresh = Engine.load(":memory:", device="cpu")
    server = serve(engine=fresh)
    page = browser()
    page.size(1000, 800)
    page.open(f"http://127.0.0.1:{server.port}/")
    page.do("document.getElementById('enrol').click()")
    page.do("document.getElementById('enrol-name').value = 'Kim'")
    page.do("document.getElementById('enrol-record').click()")
    page.until("parseFloat(document.getElementById('ring').style.strokeDashoffset) < 200")
    page.shot("8-enrol")
    page.until("document.getElementById('enrol-said').textContent.startsWith('Kim: ')")
    assert [record.name for record in fresh.gallery.speakers()] == ["Kim"]
    assert page.complaints == []


READY = json.dumps(
    {"type": "ready", "session": "s", "resume_token": "t", "resume_seconds": 60.0, "model": "m"}
    | {"latency": 1.0, "resumed": False, "received": 0, "audio_ms": 0}
)


def test_the_pages_client_passes_over_what_a_newer_server_says_and_resumes_behind_the_last_event(
    browser, serve, engine
):
    starts = []

    def answer(line):
        starts.append(json.loads(line.recv()))
        line.send(READY)
        if len(starts) == 1:
            line.send('{"type":"speaker","seq":1,"event":"new","speaker":"S1"}')
            line.send('{"type":"mood","mood":"good"}')
            line.close(1011)
        else:
            line.send('{"type":"end","seq":2,"audio_ms":0,"speakers":1}')

    page = browser()
    page.open(f"http://127.0.0.1:{serve(engine=engine).port}/")
    with serve_words(answer, "127.0.0.1", 0) as newer:
        threading.Thread(target=newer.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{newer.socket.getsockname()[1]}"
        told = page.do(
            f"""(async () => {{
              const {{ RtspkClient }} = await import("/client.js");
              const client = new RtspkClient("{url}", {{ rate: 16000 }});
              const told = [];
              client.addEventListener("message", ({{ detail }}) => told.push(detail.type));
              await new Promise((done) => {{
                client.addEventListener("message", ({{ detail }}) => detail.type === "end" && done());
                client.open();
              }});
              client.close();
              return told;
            }})()"""
        )
        newer.shutdown()
    assert told == ["speaker", "end"]
    assert starts[1]["resume"] == {"token": "t", "seq": 1}
    assert page.complaints == []


def test_a_broken_connection_is_resumed_without_a_word(browser, serve, known):
    server = serve(engine=known)
    page = browser()
    page.open(f"http://127.0.0.1:{server.port}/")
    page.do("document.getElementById('listen').click()")
    page.until("document.querySelectorAll('.turns li').length >= 1")
    place = next(iter(server.app._hub._places))
    place.link.socket.loop.call_soon_threadsafe(place.link.cut)
    page.until("document.getElementById('state').dataset.state === 'reconnecting'")
    page.until("document.getElementById('state').dataset.state === 'open'")
    page.until("document.querySelectorAll('.lane').length >= 2")
    page.do("document.getElementById('listen').click()")
    page.until("document.getElementById('state').textContent === 'done'")
    assert server.request("GET", "/metrics")[1].decode().count("rtspk_sessions_resumed_total 1.0") == 1
    assert page.complaints == []
