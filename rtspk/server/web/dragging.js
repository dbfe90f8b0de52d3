// Drags the head of a lane onto another lane: with a mouse or a pen from anywhere on it, with a finger from its mark
// alone, since a finger that moves on a lane scrolls.

const FAR = 8; // px, before which a press is no drag

export class Dragging {
  // onDrop(row, into) is called with the lanes' list items.
  constructor(list, onDrop) {
    this.list = list;
    this.onDrop = onDrop;
    this.row = null; // what is dragged
    this.ghost = null; // what is seen of that
    this.over = false; // a drag that is over, whose click is none
  }

  // Lets a lane be dragged by its head.
  add(head, mark, row) {
    head.addEventListener("pointerdown", (event) => {
      this.over = false;
      if (event.button !== 0 || (event.pointerType === "touch" && event.target !== mark)) return;
      this.#begin(event, head, row);
    });
  }

  // The lane is gone, or nobody wants the drag any more.
  stop() {
    this.listening?.abort();
    this.ghost?.remove();
    this.row?.classList.remove("dragged");
    this.row = this.ghost = null;
    this.#mark(null);
  }

  #begin(down, head, row) {
    this.stop();
    this.row = row;
    this.listening = new AbortController();
    const on = (type, hear) => addEventListener(type, hear, { signal: this.listening.signal });
    const mine = (hear) => (event) => event.pointerId === down.pointerId && hear(event);
    on("pointermove", mine((event) => this.#move(event, down, head)));
    on("pointerup", mine((event) => this.#drop(event)));
    on("pointercancel", mine(() => this.stop()));
    on("blur", () => this.stop());
    on("keydown", ({ key }) => {
      if (key === "Escape") this.stop();
    });
  }

  #move(event, down, head) {
    if (!this.ghost) {
      if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < FAR) return;
      this.ghost = head.cloneNode(true);
      this.ghost.classList.add("ghost");
      document.body.append(this.ghost);
      this.row.classList.add("dragged");
      this.over = true;
    }
    this.ghost.style.transform = `translate(${event.clientX - 20}px, ${event.clientY - 20}px)`;
    this.#mark(this.#target(event));
  }

  #drop(event) {
    const { row, ghost } = this;
    const into = ghost && this.#target(event);
    this.stop();
    if (into) this.onDrop(row, into);
  }

  #mark(target) {
    for (const each of this.list.children) each.classList.toggle("target", each === target);
  }

  #target({ clientX, clientY }) {
    const lanes = document.elementsFromPoint(clientX, clientY).map((each) => each.closest?.(".lane"));
    return lanes.find((each) => each && each !== this.row) ?? null;
  }
}
