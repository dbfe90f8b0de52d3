// How a speaker looks everywhere on the page: one of eight colours that stay apart for colour-blind eyes too, and for
// whoever comes later stripes or dots in it.

import { numberOf } from "./transcript.js";

const COLOURS = 8; // as --voice-1 and on in the style sheet, for light and dark
const PATTERNS = ["plain", "striped", "dotted"];

// Class names for an element that bears a speaker's look.
export function lookOf(label) {
  const number = numberOf(label) - 1;
  return `voice-${(number % COLOURS) + 1} ${patternOf(number)}`;
}

function patternOf(number) {
  return PATTERNS[Math.floor(number / COLOURS) % PATTERNS.length];
}

// The same for a canvas; made anew where the colours of the page may have changed.
export class Paints {
  constructor(pen, element) {
    this.pen = pen;
    this.style = getComputedStyle(element);
    this.known = new Map(); // label -> fill
    [this.ink, this.faint, this.line, this.card] = ["ink", "faint", "line", "card"].map((name) => this.#of(name));
  }

  // A fill for a speaker's bars.
  of(label) {
    if (!this.known.has(label)) this.known.set(label, this.#fill(numberOf(label) - 1));
    return this.known.get(label);
  }

  #fill(number) {
    const colour = this.#of(`voice-${(number % COLOURS) + 1}`);
    const pattern = patternOf(number);
    if (pattern === "plain") return colour;
    const tile = new OffscreenCanvas(8, 8);
    const pen = tile.getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 8, 8);
    pen.fillStyle = this.card;
    if (pattern === "striped") pen.fillRect(0, 0, 8, 3);
    else pen.fill(disc(4, 4, 2));
    return this.pen.createPattern(tile, "repeat");
  }

  #of(name) {
    return this.style.getPropertyValue(`--${name}`).trim();
  }
}

function disc(x, y, radius) {
  const path = new Path2D();
  path.arc(x, y, radius, 0, 2 * Math.PI);
  return path;
}
