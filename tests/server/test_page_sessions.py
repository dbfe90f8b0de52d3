"""How the page begins, ends and resumes what it hears, in real Chromium."""

import pytest

from tests.server.chromium import needs_chromium

pytestmark = needs_chromium

# The page's sockets and microphones, as they are made.
SPY = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(url) {
    super(url);
    sockets.push(this);
    this.heard = [];
    this.addEventListener("message", ({ data }) => this.heard.push(JSON.parse(data)));
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


@pytest.fixture
def watched(browser):
    """A page whose sockets and tracks a test sees."""

    def opened(server):
        page = browser()
        page.size(1000, 800)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=SPY)
        page.open(f"http://127.0.0.1:{server.port}/")
        return page

    return opened


def link_of(server):
    return next(iter(server.app._hub._places)).link


def cut(server) -> None:
    link = link_of(server)
    link.socket.loop.call_soon_threadsafe(link.cut)


def name_lane(page, number: int, name: str) -> None:
    page.do(f"document.querySelectorAll('.lane .head')[{number}].click()")
    page.do(f"document.getElementById('name-input').value = '{name}'")
    page.do("document.querySelector('#name-dialog [value=save]').click()")


def test_a_name_given_while_the_line_was_dead_is_not_lost(watched, serve, known):
    server = serve(engine=known)
    page = watched(server)
    page.do("document.getElementById('listen').click()")
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
    page.do("document.getElementById('listen').click()")
    page.until("document.querySelectorAll('.lane').length >= 2")
    page.do("sockets[0].onmessage = null")
    page.do("document.querySelectorAll('.lane .head')[1].click()")
    page.do("document.getElementById('merge-into').selectedIndex = 1")
    page.do("document.querySelector('#name-dialog [value=save]').click()")
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
    page.do("document.getElementById('listen').click()")
    page.until("document.querySelectorAll('.lane').length >= 1")
    page.do('sockets[0].onmessage({ data: \'{"type":"news"}\' })')
    cut(server)
    page.until("sockets.length === 2 && document.getElementById('state').dataset.state === 'open'")
    page.until("document.querySelectorAll('.lane').length >= 2")
    assert page.do("document.querySelectorAll('#warnings li').length") == 0
