"""A tab of real Chromium, with a file for its microphone."""

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

from rtspk.audio import read_audio, write_wav
from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.types import samples_of

PATIENCE = 60.0
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = os.environ.get("RTSPK_SCREENSHOTS")  # a folder, to look at what was seen

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")


# The page's sockets and microphones, as they are made.
SPY = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(url) {
    super(window.astray ? "ws://127.0.0.1:9/" : url);
    sockets.push(this);
    this.heard = [];
    this.said = [];
    this.addEventListener("message", ({ data }) => this.heard.push(JSON.parse(data)));
  }
  send(data) {
    if (typeof data === "string") this.said.push(JSON.parse(data));
    super.send(data);
  }
};
window.tracks = [];
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  tracks.push(...stream.getTracks());
  return stream;
};
"""


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

    def press(self, button: str) -> None:
        self.do(f"document.getElementById('{button}').click()")

    def middle(self, selector: str, number: int = 0) -> tuple[float, float]:
        """Where an element is on the screen."""
        box = f"document.querySelectorAll({json.dumps(selector)})[{number}].getBoundingClientRect()"
        x, y = self.do(f"(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])({box})")
        return x, y

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        held = {"button": "left", "buttons": 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **(held | more))

    def key(self, name: str, code: int) -> None:
        """Press a key and let it go."""
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **text)

    def names(self) -> list[str]:
        return list(self.do("[...document.querySelectorAll('.lane .head span')].map(e => e.textContent)"))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory) -> Iterator[int]:
    """Chromium whose microphone hears the conversation once, then silence: the port that drives it."""
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
    with process:
        address = ""
        while "DevTools listening on " not in address:
            address = process.stderr.readline()
            assert address, "Chromium did not start"
        # What it says later is read, or it would wait for that.
        rest = threading.Thread(target=process.stderr.read, daemon=True)
        rest.start()
        try:
            yield int(address.split("127.0.0.1:")[1].split("/")[0])
        finally:
            process.terminate()
            rest.join()


@pytest.fixture
def browser(chromium) -> Iterator[Callable[[], Page]]:
    """Opens tabs, which are closed behind the test."""

    def ask(method: str, path: str) -> bytes:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", chromium, timeout=PATIENCE)) as line:
            line.request(method, path)
            return line.getresponse().read()

    with contextlib.ExitStack() as links:

        def tab() -> Page:
            new = json.loads(ask("PUT", "/json/new?about:blank"))
            links.callback(ask, "GET", f"/json/close/{new['id']}")
            url = new["webSocketDebuggerUrl"]
            return Page(links.enter_context(connect(url, max_size=None, proxy=None, ping_interval=None)))

        yield tab


@pytest.fixture
def watched(browser) -> Callable[[object], Page]:
    """A page of a server, whose sockets and tracks a test sees."""

    def opened(server) -> Page:
        page = browser()
        page.size(1000, 800)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=SPY)
        page.open(f"http://127.0.0.1:{server.port}/")
        return page

    return opened


@pytest.fixture(scope="session")
def known() -> Engine:
    """An engine whose gallery knows Anna and Ben."""
    fresh = Engine.load(":memory:", device="cpu")
    for name in ("Anna", "Ben"):
        fresh.enroll(name, DEMO / f"{name}.opus")
    return fresh


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


def name_lane(page: Page, number: int, name: str) -> None:
    """Name a lane by its dialog."""
    page.do(f"document.querySelectorAll('.lane .head')[{number}].click()")
    page.do(f"document.getElementById('name-input').value = '{name}'")
    page.do("document.querySelector('#name-dialog [value=save]').click()")


def merge_lanes(page: Page) -> None:
    """Make the second lane the first one's by its dialog."""
    page.do("document.querySelectorAll('.lane .head')[1].click()")
    page.do("document.getElementById('merge-into').selectedIndex = 1")
    page.do("document.querySelector('#name-dialog [value=save]').click()")
