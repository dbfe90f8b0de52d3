"""How the page begins, ends and resumes what it hears, in real Chromium."""

import base64

import numpy as np

from rtspk.audio import write_wav
from rtspk.data import DEMO
from tests.server.chromium import file_script, merge_lanes, name_lane, needs_chromium

pytestmark = needs_chromium


def link_of(server):
    return next(iter(server.app._hub._places)).link


def cut(server) -> None:
    link = link_of(server)
    link.socket.loop.call_soon_threadsafe(link.cut)


def test_a_name_given_while_the_line_was_dead_is_not_lost(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.lane').length >= 1")
    link = link_of(server)
    link.socket.loop.call_soon_threadsafe(link.socket.transport.pause_reading)
    name_lane(page, 0, "Zoë")
    cut(server)
    page.until("[...document.querySelectorAll('.lane .head span')].some(e => e.textContent === 'Zoë')")
    assert page.complaints == []


def test_an_order_that_arrived_before_the_line_broke_is_given_again_without_a_word(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.lane').length >= 2")
    page.do("sockets[0].onmessage = null")
    merge_lanes(page)
    page.until("sockets[0].heard.some(({ flush }) => flush)")
    gone = page.do("sockets[0].heard.find(({ event }) => event === 'merged').speaker")
    assert page.do(f"Boolean(document.querySelector('.lane[data-label={gone}]'))")
    cut(server)
    page.until("sockets.length === 2 && sockets[1].heard.some(({ flush }) => flush)")
    page.until(f"!document.querySelector('.lane[data-label={gone}]')")
    assert page.do("sockets[1].heard.some(({ code }) => code === 'refused')")
    assert page.do("document.querySelectorAll('#warnings li').length") == 0


def test_messages_that_the_page_does_not_know_are_passed_over(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.lane').length >= 1")
    page.do('sockets[0].onmessage({ data: \'{"type":"news"}\' })')
    cut(server)
    page.until("sockets.length === 2 && document.getElementById('state').dataset.state === 'open'")
    assert page.do("sockets[1].said[0].resume.seq") > 0
    page.until("document.querySelectorAll('.lane').length >= 2")
    assert page.do("document.querySelectorAll('#warnings li').length") == 0


def test_two_clicks_on_listen_open_one_microphone_and_stop_closes_it(watched, serve, known):
    page = watched(serve(engine=known))
    x, y = page.middle("#listen")
    for count in (1, 2):
        page.mouse("mousePressed", x, y, clickCount=count)
        page.mouse("mouseReleased", x, y, clickCount=count)
    stop_again(page)
    page.do("for (let n = 0; n < 2; n += 1) document.getElementById('listen').click()")
    stop_again(page)
    assert page.do("tracks.map((track) => track.readyState)") == ["ended", "ended"]
    assert page.do("sockets.length") == 2


def stop_again(page) -> None:
    page.until("document.getElementById('state').textContent === 'listening'")
    page.press("listen")
    page.until("document.getElementById('state').textContent === 'done'")


def test_of_two_files_the_last_is_listened_to(watched, serve, known):
    page = watched(serve(engine=known))
    page.do(file_script(DEMO / "conversation.opus") + ";" + file_script(DEMO / "Anna.opus"))
    page.until("document.getElementById('state').textContent === 'done'")
    assert page.names() == ["Anna"]
    assert page.do("sockets.length") == 1
    assert page.do("document.getElementById('listen-text').textContent") == "Listen"


def test_listen_begins_anew_while_a_stopped_stream_waits_for_the_server(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.turns li').length >= 1")
    page.do("window.astray = true")
    cut(server)
    page.until("document.getElementById('state').dataset.state === 'reconnecting'")
    page.press("listen")
    page.do("window.astray = false; document.getElementById('listen').click()")
    page.until("sockets.at(-1).heard.some(({ type, resumed }) => type === 'ready' && !resumed)")
    page.until("document.getElementById('state').textContent === 'listening'")


def test_a_server_that_forgot_the_session_hears_the_rest_in_another_one(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.press("listen")
    page.until("document.querySelectorAll('.turns li').length >= 1")
    hub = server.app._hub
    place = next(iter(hub._places))

    def forget() -> None:
        hub._drop(place)
        link.cut()

    link = place.link
    link.socket.loop.call_soon_threadsafe(forget)
    page.until("document.querySelector('#warnings li')?.textContent.startsWith('The server lost')")
    before = page.do("[...document.querySelectorAll('.turns time')].map((item) => item.textContent)")
    page.until(f"document.querySelectorAll('.turns li').length > {len(before) + 1}")
    assert page.do("tracks.map((track) => track.readyState)") == ["live"]
    page.press("listen")
    page.until("document.getElementById('state').textContent === 'done'")
    after = page.do("[...document.querySelectorAll('.turns time')].map((item) => item.textContent)")
    assert after[: len(before)] == before
    assert after == sorted(after)


def test_a_file_is_sent_as_it_was_recorded(browser, serve, engine, tmp_path):
    rng = np.random.default_rng(3)
    sound = rng.uniform(-0.5, 0.5, 4800).astype(np.float32)
    write_wav(tmp_path / "noise.wav", sound, rate=48000)
    data = base64.b64encode((tmp_path / "noise.wav").read_bytes()).decode()
    page = browser()
    page.open(f"http://127.0.0.1:{serve(engine=engine).port}/")
    got = page.do(
        f"""(async () => {{
          const {{ decodeFile }} = await import("/microphone.js");
          const bytes = Uint8Array.from(atob("{data}"), (letter) => letter.charCodeAt(0));
          const {{ samples, rate }} = await decodeFile(new File([bytes], "noise.wav"));
          return {{ samples: [...samples], rate }};
        }})()"""
    )
    assert got["rate"] == 48000
    assert np.abs(np.array(got["samples"]) / 32767 - sound).max() < 1e-4


def test_of_a_file_no_more_is_on_its_way_than_can_be_sent_again(watched, serve, engine):
    page = watched(serve(engine=engine))
    page.do(
        """(async () => {
        const { RtspkClient } = await import("/client.js");
        const url = location.origin.replace("http", "ws") + "/v1/listen";
        window.client = new RtspkClient(url, { rate: 1000, options: { pace: "file" } });
        client.open();
        await client.room();
        client.socket.onmessage = null;
        for (let second = 0; second < 31; second += 1) client.send(new Int16Array(1000));
        client.room().then(() => (window.hasRoom = true));
        })()"""
    )
    page.until("client.socket.bufferedAmount === 0")
    assert page.do("window.hasRoom") is None
    page.do("client.kept.splice(0, 2)")  # as an ack does
    page.until("window.hasRoom")


def test_many_messages_are_drawn_once(watched, serve, known):
    page = watched(serve(engine=known))
    page.press("listen")
    page.until("document.querySelectorAll('.lane').length >= 1")
    drawn = page.do(
        """(() => {
          let drawn = 0;
          const pen = CanvasRenderingContext2D.prototype;
          const clear = pen.clearRect;
          pen.clearRect = function (...box) { drawn += 1; clear.apply(this, box); };
          const turn = { type: "segment", rev: 1, speaker: "S1", name: null, state: "final", overlap: false };
          for (let n = 0; n < 300; n++) {
            const place = { seq: 1000 + n, id: 1000 + n, start: n, end: n + 0.5, score: 1, confidence: 1 };
            sockets[0].onmessage({ data: JSON.stringify({ ...turn, ...place }) });
          }
          return drawn;
        })()"""
    )
    assert drawn == 0
    page.until("document.querySelectorAll('.turns li').length === 200")
