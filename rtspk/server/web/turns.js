// The list of turns as text: the last ones, of which each is changed in place.

import { lookOf } from "./looks.js";
import { clock } from "./clock.js";

const SHOWN = 200;

export class Turns {
  constructor(list) {
    this.list = list;
    this.items = new Map(); // segment id -> its line
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.follows = null; // whether the list is to be at its end when it is drawn; null: nothing has changed
  }

  clear() {
    this.items.clear();
    this.list.replaceChildren();
  }

  // Takes segments that changed, each with what it was before.
  update(changes) {
    if (changes.length) this.#follow();
    for (const { segment, before } of changes) this.#show(segment, before);
  }

  #show(segment, before) {
    const item = this.items.get(segment.id) ?? this.#insert(segment);
    if (!item) return;
    const [time, who, length] = item.children;
    time.textContent = clock(segment.start);
    who.textContent = who.title = segment.name ?? `Speaker ${segment.speaker.slice(1)}`;
    who.className = lookOf(segment.speaker);
    length.textContent = `${(segment.end - segment.start).toFixed(1)} s`;
    item.classList.toggle("tentative", segment.state === "tentative");
    const changed = before && (before.speaker !== segment.speaker || before.name !== segment.name);
    if (!changed || this.still.matches) return;
    for (const running of item.getAnimations()) running.cancel();
    item.animate({ transform: ["translateX(2rem)", "none"] }, { duration: 700, easing: "ease-out" });
  }

  // A new line stands by its start, which is nearly always the latest; null for one before all that are shown.
  #insert({ id, start }) {
    let last = this.list.lastElementChild;
    while (last && Number(last.dataset.start) > start) last = last.previousElementSibling;
    if (!last && this.list.children.length >= SHOWN) return null;
    const item = document.createElement("li");
    item.value = id;
    item.dataset.start = start;
    item.append(...["time", "b", "span"].map((tag) => document.createElement(tag)));
    this.items.set(id, item);
    if (last) last.after(item);
    else this.list.prepend(item);
    if (this.list.children.length > SHOWN) {
      this.items.delete(this.list.firstElementChild.value);
      this.list.firstElementChild.remove();
    }
    return item;
  }

  // Who has scrolled up reads, and is left where they are. Looked at once in a frame: it makes the browser lay out.
  #follow() {
    if (this.follows !== null) return;
    const { list } = this;
    this.follows = list.scrollTop + list.clientHeight > list.scrollHeight - 40;
    requestAnimationFrame(() => {
      if (this.follows) list.scrollTop = list.scrollHeight;
      this.follows = null;
    });
  }
}
