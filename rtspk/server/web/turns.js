// The list of turns as text: the last ones, each a line that is changed in place. What touches and is one person's
// is one line, as it is one turn in files.

import { lookOf } from "./looks.js";
import { clock } from "./clock.js";

const SHOWN = 200;
const BEFORE_SECONDS = 600; // of what is looked at before the first line: who talks for longer without a pause is rare

export class Turns {
  constructor(list, transcript) {
    Object.assign(this, { list, transcript });
    this.lines = new Map(); // id of a turn's first segment -> its line
    this.moved = new Set(); // ids of segments that are somebody else's since the list was drawn
    this.since = 0; // s; what ends before makes no line that is shown
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.frame = 0; // that is asked for, if any
  }

  reset(transcript) {
    this.transcript = transcript;
    this.lines.clear();
    this.moved.clear();
    this.since = 0;
    this.list.replaceChildren();
  }

  // Takes segments that changed, each with what it was before; they are drawn once before the page is seen next.
  update(changes) {
    if (!changes.length) return;
    for (const { segment, before } of changes) {
      if (before && (before.speaker !== segment.speaker || before.name !== segment.name)) this.moved.add(segment.id);
    }
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { list } = this;
    const follows = list.scrollTop + list.clientHeight > list.scrollHeight - 40; // who has scrolled up reads
    const turns = this.#last();
    const shown = new Set(turns.map(({ id }) => id));
    for (const [id, line] of this.lines) {
      if (shown.has(id)) continue;
      line.remove();
      this.lines.delete(id);
    }
    let place = list.firstElementChild;
    for (const turn of turns) {
      const known = this.lines.get(turn.id);
      const line = known ?? this.#newLine(turn.id);
      if (line === place) place = place.nextElementSibling;
      else list.insertBefore(line, place);
      write(line, turn);
      if (known && !this.still.matches && turn.ids.some((id) => this.moved.has(id))) slide(line);
    }
    this.moved.clear();
    if (follows) list.scrollTop = list.scrollHeight;
  }

  // The turns that are shown; of hours of them only the last part is looked at.
  #last() {
    let turns = this.transcript.joined({ since: this.since });
    if (turns.length < SHOWN && this.since) turns = this.transcript.joined();
    turns = turns.slice(-SHOWN);
    this.since = turns.length < SHOWN ? 0 : Math.max(0, turns[0].start - BEFORE_SECONDS);
    return turns;
  }

  #newLine(id) {
    const line = document.createElement("li");
    line.append(...["time", "b", "span"].map((tag) => document.createElement(tag)));
    this.lines.set(id, line);
    return line;
  }
}

// Only what is another text than before: the browser lays out anew what is written.
function write(line, { start, end, speaker, name, state }) {
  const texts = [clock(start), name ?? `Speaker ${speaker.slice(1)}`, `${(end - start).toFixed(1)} s`];
  texts.forEach((text, n) => {
    if (line.children[n].textContent !== text) line.children[n].textContent = text;
  });
  const who = line.children[1];
  if (who.title !== texts[1]) who.title = texts[1];
  if (who.className !== lookOf(speaker)) who.className = lookOf(speaker);
  line.classList.toggle("tentative", state === "tentative");
}

function slide(line) {
  for (const running of line.getAnimations()) running.cancel();
  line.animate({ transform: ["translateX(2rem)", "none"] }, { duration: 700, easing: "ease-out" });
}
