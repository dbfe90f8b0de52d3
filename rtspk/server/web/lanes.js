// A lane for each speaker: its head is a button, its bars are drawn on one canvas behind all lanes, so that a
// corrected turn can slide from one lane to another.

// Okabe and Ito, 2008: colours that stay apart for colour-blind eyes.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#8c6d31"];
const SLIDE_MS = 450;
const LIVE_SECONDS = 30;

export function colourOf(lane) {
  return COLOURS[lane % COLOURS.length];
}

export class Lanes {
  // onOpen(label) is called when a head is chosen; onMerge(label, into) when one lane is dropped on another.
  constructor({ list, canvas, empty, transcript, onOpen, onMerge }) {
    Object.assign(this, { list, canvas, empty, transcript, onOpen, onMerge });
    this.rows = new Map(); // label -> { row, name, detail, number }
    this.slides = new Map(); // segment id -> { from, at }
    this.now = 0; // s of the stream, at the right edge
    this.live = false;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.edge = 0; // where the right edge is drawn: it follows `now` smoothly
    new ResizeObserver(() => this.draw()).observe(list);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.draw();
  }

  reset(transcript) {
    this.transcript = transcript;
    this.rows.clear();
    this.slides.clear();
    this.list.replaceChildren();
    this.now = this.edge = 0;
    this.update([]);
  }

  // Takes what a message changed.
  update(changes) {
    for (const { segment, before } of changes) {
      this.now = Math.max(this.now, segment.end);
      if (before && before.speaker !== segment.speaker && this.rows.has(before.speaker)) {
        this.slides.set(segment.id, { from: this.#middle(before.speaker), at: performance.now() });
      }
    }
    const wanted = this.transcript.lanes();
    for (const speaker of wanted) this.#row(speaker);
    for (const [label, { row }] of this.rows) {
      if (!wanted.some((speaker) => speaker.label === label)) {
        row.remove();
        this.rows.delete(label);
      }
    }
    this.empty.hidden = wanted.length > 0;
    this.draw();
  }

  // Goes on while there is something to see.
  start() {
    this.live = true;
    const step = () => {
      if (!this.live) return;
      this.edge += (this.now - this.edge) * (this.still.matches ? 1 : 0.12);
      this.draw();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  stop() {
    this.live = false;
    this.draw();
  }

  // Where the axis begins and ends: the last half minute while it is live, all of it behind that.
  span() {
    if (!this.live) return [0, Math.max(this.now, 1)];
    return [Math.max(0, this.edge - LIVE_SECONDS), Math.max(this.edge, LIVE_SECONDS)];
  }

  draw() {
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
    const head = this.rows.values().next().value.head.getBoundingClientRect();
    const narrow = head.width > box.width * 0.6; // on a phone heads stand above their bars
    const left = narrow ? 20 : head.right - box.left + 12;
    const [from, to] = this.span();
    const x = (time) => left + ((time - from) / (to - from)) * (box.width - left - 12);
    this.#axis(pen, x, from, to, box.height);
    const seen = [...this.transcript.segments.values()].filter(
      (segment) => segment.end >= from && this.rows.has(segment.speaker),
    );
    const busy = overlapped(seen);
    const moving = [];
    for (const segment of seen) {
      const slide = this.slides.get(segment.id);
      if (slide) moving.push([segment, slide]);
      else this.#bar(pen, x, segment, this.#middle(segment.speaker), from, busy.has(segment));
    }
    for (const [segment, slide] of moving) {
      const part = this.still.matches ? 1 : (performance.now() - slide.at) / SLIDE_MS;
      const ease = 1 - (1 - Math.min(1, part)) ** 3;
      const to = this.#middle(segment.speaker);
      this.#bar(pen, x, segment, slide.from + (to - slide.from) * ease, from, busy.has(segment));
      if (part >= 1) this.slides.delete(segment.id);
    }
    if (this.slides.size && !this.live) requestAnimationFrame(() => this.draw());
  }

  #axis(pen, x, from, to, height) {
    const style = getComputedStyle(this.list);
    pen.fillStyle = style.getPropertyValue("--faint");
    pen.strokeStyle = style.getPropertyValue("--line");
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

  #bar(pen, x, segment, middle, from, busy) {
    const left = x(Math.max(from, segment.start));
    const width = Math.max(2, x(segment.end) - left);
    const colour = colourOf(this.rows.get(segment.speaker).number);
    const tall = 11;
    pen.globalAlpha = (segment.state === "final" ? 1 : 0.6) * (0.45 + 0.55 * Math.min(1, segment.confidence));
    pen.fillStyle = colour;
    pen.beginPath();
    pen.roundRect(left, middle - tall, width, tall * 2, Math.min(4, width / 2));
    pen.fill();
    pen.globalAlpha = 1;
    if (segment.overlap || busy) {
      pen.fillStyle = getComputedStyle(this.list).getPropertyValue("--ink");
      pen.fillRect(left, middle + tall + 2, width, 2);
    }
  }

  #middle(label) {
    const row = this.rows.get(label)?.row;
    if (!row) return 0;
    const narrow = getComputedStyle(row).getPropertyValue("--narrow").trim() === "1";
    return row.offsetTop + row.offsetHeight * (narrow ? 0.72 : 0.5);
  }

  #row(speaker) {
    const shown = speaker.name ?? `Speaker ${speaker.label.slice(1)}`;
    let own = this.rows.get(speaker.label);
    if (!own) {
      own = this.#newRow(speaker.label);
      this.rows.set(speaker.label, own);
      this.list.append(own.row);
    }
    if (own.name.textContent !== shown) own.name.textContent = shown;
    own.row.classList.toggle("named", speaker.name !== null);
    const sure = `${Math.round((speaker.sure / (speaker.spoken || 1)) * 100)} % sure`;
    if (own.detail.textContent !== sure) own.detail.textContent = sure;
  }

  #newRow(label) {
    const row = document.createElement("li");
    const head = document.createElement("button");
    const [mark, name, detail] = ["i", "span", "small"].map((tag) => document.createElement(tag));
    const number = Number(label.slice(1)) - 1;
    row.className = "lane";
    row.dataset.label = label;
    head.type = "button";
    head.className = "head";
    head.title = "Name this speaker, or drag it onto another lane";
    mark.style.background = colourOf(number);
    head.append(mark, name, detail);
    row.append(head);
    this.#dragging(head, row, label);
    return { row, head, name, detail, number };
  }

  // A short press names; a drag onto another lane merges. Works with a mouse, a pen and a finger.
  #dragging(head, row, label) {
    let start = null;
    let ghost = null;
    const target = (event) => {
      const lane = document.elementsFromPoint(event.clientX, event.clientY).map((each) => each.closest?.(".lane"));
      return lane.find((each) => each && each !== row) ?? null;
    };
    const clear = () => {
      ghost?.remove();
      ghost = start = null;
      row.classList.remove("dragged");
      for (const each of this.list.children) each.classList.remove("target");
    };
    head.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = { x: event.clientX, y: event.clientY };
      head.setPointerCapture(event.pointerId);
    });
    head.addEventListener("pointermove", (event) => {
      if (!start || (!ghost && Math.hypot(event.clientX - start.x, event.clientY - start.y) < 8)) return;
      if (!ghost) {
        ghost = head.cloneNode(true);
        ghost.classList.add("ghost");
        document.body.append(ghost);
        row.classList.add("dragged");
      }
      ghost.style.transform = `translate(${event.clientX - 20}px, ${event.clientY - 20}px)`;
      const over = target(event);
      for (const each of this.list.children) each.classList.toggle("target", each === over);
    });
    head.addEventListener("pointerup", (event) => {
      const into = ghost ? target(event)?.dataset.label : null;
      this.dragged = Boolean(ghost); // the click that follows a drag is none
      clear();
      if (into) this.onMerge(label, into);
    });
    head.addEventListener("pointercancel", clear);
    head.addEventListener("click", () => {
      if (!this.dragged) this.onOpen(label);
      this.dragged = false;
    });
  }
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

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
