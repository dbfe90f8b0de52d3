// A lane for each speaker: its head is a button, its bars are drawn on one canvas behind all lanes, so that a
// corrected turn can slide from one lane to another.

import { clock } from "./clock.js";
import { Dragging } from "./dragging.js";
import { lookOf, Paints } from "./looks.js";

const SLIDE_MS = 450;
const LIVE_SECONDS = 30;

export class Lanes {
  // onOpen(label) is called when a head is chosen; onMerge(label, into) when one lane is dropped on another.
  constructor({ list, canvas, empty, transcript, onOpen, onMerge }) {
    Object.assign(this, { list, canvas, empty, transcript, onOpen, onMerge });
    this.rows = new Map(); // label -> { row, head, name, detail }
    this.dragging = new Dragging(list, (row, into) => onMerge(row.dataset.label, into.dataset.label));
    this.slides = new Map(); // segment id -> { from, at }
    this.now = 0; // s of the stream, at the right edge
    this.live = false;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.edge = 0; // where the right edge is drawn: it follows `now` smoothly
    this.frame = 0; // that is asked for, if any
    new ResizeObserver(() => this.#draw()).observe(list);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  reset(transcript) {
    this.transcript = transcript;
    this.rows.clear();
    this.slides.clear();
    this.dragging.stop();
    this.list.replaceChildren();
    this.now = this.edge = 0;
    this.update([]);
  }

  // Takes what a message changed.
  update(changes) {
    const places = new Map(); // where lanes stood, looked up once: it makes the browser lay out
    for (const { segment, before } of changes) {
      this.now = Math.max(this.now, segment.end);
      if (!before || before.speaker === segment.speaker || !this.rows.has(before.speaker)) continue;
      if (segment.end < this.span()[0]) continue;
      if (!places.has(before.speaker)) places.set(before.speaker, this.#middle(before.speaker));
      this.slides.set(segment.id, { from: places.get(before.speaker), at: performance.now() });
    }
    const wanted = new Map(this.transcript.lanes().map((speaker) => [speaker.label, speaker]));
    for (const speaker of wanted.values()) this.#row(speaker);
    for (const [label, { row }] of this.rows) {
      if (wanted.has(label)) continue;
      if (this.dragging.row === row) this.dragging.stop();
      row.remove();
      this.rows.delete(label);
    }
    this.empty.hidden = wanted.size > 0;
    this.redraw();
  }

  // Moves on by itself from now on.
  start() {
    this.live = true;
    this.redraw();
  }

  stop() {
    this.live = false;
    this.redraw();
  }

  // Draws once before the page is seen next, however often it is asked for.
  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.edge += (this.now - this.edge) * (this.still.matches ? 1 : 0.12);
      this.#draw();
      if (this.live || this.slides.size) this.redraw();
    });
  }

  // Where the axis begins and ends: the last half minute while it is live, all of it behind that.
  span() {
    if (!this.live) return [0, Math.max(this.now, 1)];
    return [Math.max(0, this.edge - LIVE_SECONDS), Math.max(this.edge, LIVE_SECONDS)];
  }

  #draw() {
    const box = this.list.getBoundingClientRect();
    const scale = devicePixelRatio || 1;
    const { canvas } = this;
    if (canvas.width !== Math.round(box.width * scale) || canvas.height !== Math.round(box.height * scale)) {
      canvas.width = Math.round(box.width * scale);
      canvas.height = Math.round(box.height * scale);
      canvas.style.height = `${box.height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    if (!this.rows.size) return;
    const paints = new Paints(pen, this.list);
    const middles = new Map([...this.rows.keys()].map((label) => [label, this.#middle(label)]));
    const head = this.rows.values().next().value.head.getBoundingClientRect();
    const left = this.#isNarrow() ? 20 : head.right - box.left + 12;
    const [from, to] = this.span();
    const x = (time) => left + ((time - from) / (to - from)) * (box.width - left - 12);
    this.#axis(pen, paints, x, from, to, box.height);
    const seen = [...this.transcript.segments.values()].filter(
      (segment) => segment.end >= from && middles.has(segment.speaker),
    );
    const busy = overlapped(seen);
    const moving = seen.filter((segment) => this.slides.has(segment.id));
    const bar = (segment, middle) => {
      const [begin, end] = [x(Math.max(from, segment.start)), x(segment.end)];
      drawBar(pen, paints, segment, begin, Math.max(2, end - begin), middle, busy.has(segment));
    };
    for (const segment of seen) if (!this.slides.has(segment.id)) bar(segment, middles.get(segment.speaker));
    for (const segment of moving) bar(segment, this.#slid(segment.id, middles.get(segment.speaker)));
    const now = performance.now();
    for (const [id, { at }] of this.slides) if (this.still.matches || now - at > SLIDE_MS) this.slides.delete(id);
  }

  // Where a bar is on its way from one lane to another.
  #slid(id, to) {
    const { from, at } = this.slides.get(id);
    const part = this.still.matches ? 1 : Math.min(1, (performance.now() - at) / SLIDE_MS);
    return from + (to - from) * (1 - (1 - part) ** 3);
  }

  #axis(pen, paints, x, from, to, height) {
    pen.fillStyle = paints.faint;
    pen.strokeStyle = paints.line;
    pen.font = "11px system-ui, sans-serif";
    const tick = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((each) => (to - from) / each <= 8) ?? 7200;
    for (let time = Math.ceil(from / tick) * tick; time <= to; time += tick) {
      pen.beginPath();
      pen.moveTo(x(time), 0);
      pen.lineTo(x(time), height - 16);
      pen.stroke();
      pen.textAlign = time + tick > to && x(to) - x(time) < 20 ? "right" : "center";
      pen.fillText(clock(time), x(time), height - 3);
    }
  }

  // On a phone heads stand above their bars.
  #isNarrow() {
    return getComputedStyle(this.list).getPropertyValue("--narrow").trim() === "1";
  }

  #middle(label) {
    const { row } = this.rows.get(label);
    return row.offsetTop + row.offsetHeight * (this.#isNarrow() ? 0.72 : 0.5);
  }

  #row(speaker) {
    const shown = speaker.name ?? `Speaker ${speaker.label.slice(1)}`;
    let own = this.rows.get(speaker.label);
    if (!own) {
      own = this.#newRow(speaker.label);
      this.rows.set(speaker.label, own);
      this.list.append(own.row);
    }
    if (own.name.textContent !== shown) own.name.textContent = own.name.title = shown;
    own.row.classList.toggle("named", speaker.name !== null);
    const sure = `${Math.round((speaker.sure / (speaker.spoken || 1)) * 100)} % sure`;
    if (own.detail.textContent !== sure) own.detail.textContent = sure;
  }

  #newRow(label) {
    const row = document.createElement("li");
    const head = document.createElement("button");
    const [mark, name, detail] = ["i", "span", "small"].map((tag) => document.createElement(tag));
    row.className = "lane";
    row.dataset.label = label;
    head.type = "button";
    head.className = "head";
    head.title = "Name this speaker, or drag it onto another lane";
    mark.className = lookOf(label);
    head.append(mark, name, detail);
    row.append(head);
    this.dragging.add(head, mark, row);
    head.addEventListener("click", ({ detail }) => {
      if (!detail || !this.dragging.over) this.onOpen(label); // a key's click follows no drag
    });
    return { row, head, name, detail };
  }
}

function drawBar(pen, paints, segment, left, width, middle, busy) {
  const tall = 11;
  pen.globalAlpha = (segment.state === "final" ? 1 : 0.6) * (0.45 + 0.55 * Math.min(1, segment.confidence));
  pen.fillStyle = paints.of(segment.speaker);
  pen.beginPath();
  pen.roundRect(left, middle - tall, width, tall * 2, Math.min(4, width / 2));
  pen.fill();
  pen.globalAlpha = 1;
  if (!segment.overlap && !busy) return;
  pen.fillStyle = paints.ink;
  pen.fillRect(left, middle + tall + 2, width, 2);
}

// The segments during which somebody else speaks too.
function overlapped(segments) {
  const found = new Set();
  const sorted = [...segments].sort((a, b) => a.start - b.start);
  sorted.forEach((one, n) => {
    for (let next = n + 1; next < sorted.length && sorted[next].start < one.end - 0.2; next++) {
      const other = sorted[next];
      if (other.speaker === one.speaker || Math.min(one.end, other.end) - other.start <= 0.2) continue;
      found.add(one).add(other);
    }
  });
  return found;
}
