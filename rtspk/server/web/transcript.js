// The turns of a stream as they are known now: messages in, every later correction applied.

export class Transcript {
  constructor() {
    this.segments = new Map(); // id -> segment
    this.speakers = new Map(); // label -> { label, name, merged, spoken, sure }
    this.audioMs = 0;
    this.base = { id: 0, label: 0, seconds: 0 }; // what earlier sessions took
  }

  // Takes a message; returns the segments that it changed, each with what it was before.
  apply(message) {
    switch (message.type) {
      case "segment":
        return this.#segment(this.#placed(message));
      case "revise":
        return message.changes.flatMap((change) => this.#change(this.#placed(change)));
      case "speaker":
        return this.#speaker(this.#placed(message));
      case "end":
        this.audioMs = message.audio_ms + Math.round(this.base.seconds * 1000);
        return [];
      default:
        return [];
    }
  }

  // What follows is another session's: its ids, labels and times begin anew. Returns what changed.
  goOn(seconds) {
    const id = [...this.segments.keys()].reduce((most, each) => Math.max(most, each), 0);
    const label = [...this.speakers.keys()].reduce((most, each) => Math.max(most, numberOf(each)), 0);
    this.base = { id, label, seconds };
    return this.#replace((before) => before.state === "tentative" && { ...before, state: "final" });
  }

  // How the session that goes on calls a label; null for one of a session before.
  wireOf(label) {
    const number = numberOf(label) - this.base.label;
    return number > 0 ? `S${number}` : null;
  }

  // How a label of the session that goes on is called here.
  labelOf(wire) {
    return this.base.label ? `S${numberOf(wire) + this.base.label}` : wire;
  }

  // Gives a name to a label; returns what changed.
  name(label, name) {
    this.#label(label).name = name;
    return this.#replace((before) => before.speaker === label && before.name !== name && { ...before, name });
  }

  // Makes a label's turns another's; returns what changed.
  merge(label, into) {
    const { name } = this.#label(into);
    this.#label(label).merged = true;
    return this.#replace((before) => before.speaker === label && { ...before, speaker: into, name });
  }

  // Labels that hold any turn, in the order in which they were announced.
  lanes() {
    return [...this.speakers.values()].filter((speaker) => !speaker.merged && speaker.spoken > 1e-6);
  }

  nameOf(label) {
    return this.speakers.get(label)?.name ?? null;
  }

  // Turns by start, all or the final ones, of what ends behind `since`; those of one person that touch are one, as in
  // files. `ids` says of which segments each is made, and it is tentative while one of them is.
  joined({ final = false, since = 0 } = {}) {
    const turns = [];
    const last = new Map();
    const wanted = ({ state, end }) => end >= since && (!final || state === "final");
    const byStart = (a, b) => a.start - b.start || a.end - b.end || a.id - b.id;
    for (const segment of [...this.segments.values()].filter(wanted).sort(byStart)) {
      const who = segment.name === null ? `label ${segment.speaker}` : `name ${segment.name}`;
      const before = last.get(who);
      if (before && segment.start <= before.end) {
        const [a, b] = [before.end - before.start, segment.end - segment.start];
        const share = a + b ? b / (a + b) : 0.5;
        before.confidence += (segment.confidence - before.confidence) * share;
        before.score += (segment.score - before.score) * share;
        before.end = Math.max(before.end, segment.end);
        before.overlap ||= segment.overlap;
        if (segment.state === "tentative") before.state = "tentative";
        before.ids.push(segment.id);
      } else {
        const turn = { ...segment, ids: [segment.id] };
        last.set(who, turn);
        turns.push(turn);
      }
    }
    return turns;
  }

  #segment(message) {
    const before = this.segments.get(message.id);
    if (before && before.rev >= message.rev) return [];
    const { id, rev, start, end, speaker, name, state, score, confidence, overlap } = message;
    const segment = { id, rev, start, end, speaker, name, state, score, confidence, overlap };
    this.segments.set(id, segment);
    const known = this.#label(speaker);
    this.#count(before, -1);
    this.#count(segment, 1);
    if (name !== null) known.name = name;
    return [{ segment, before }];
  }

  #change({ id, rev, speaker, name }) {
    const before = this.segments.get(id);
    if (!before || before.rev >= rev) return [];
    const segment = { ...before, rev, speaker, name };
    this.segments.set(id, segment);
    this.#count(before, -1);
    this.#count(segment, 1);
    return [{ segment, before }];
  }

  #speaker({ event, speaker, name, into }) {
    this.#label(speaker);
    if (event === "named") return this.name(speaker, name);
    if (event === "merged") return this.merge(speaker, into);
    return [];
  }

  #placed(message) {
    const { id, label, seconds } = this.base;
    if (!id && !label && !seconds) return message;
    const moved = { ...message };
    if ("id" in moved) moved.id += id;
    for (const key of ["start", "end"]) if (key in moved) moved[key] = Math.round((moved[key] + seconds) * 1000) / 1000;
    for (const key of ["speaker", "into"]) if (moved[key]) moved[key] = this.labelOf(moved[key]);
    return moved;
  }

  // Puts what `change` makes of a segment in its place, where it makes anything.
  #replace(change) {
    const changed = [];
    for (const before of this.segments.values()) {
      const segment = change(before);
      if (!segment) continue;
      this.segments.set(segment.id, segment);
      this.#count(before, -1);
      this.#count(segment, 1);
      changed.push({ segment, before });
    }
    return changed;
  }

  // What a label's segments add up to: seconds, and seconds times confidence.
  #count(segment, sign) {
    if (!segment) return;
    const known = this.#label(segment.speaker);
    const seconds = segment.end - segment.start;
    known.spoken += sign * seconds;
    known.sure += sign * seconds * segment.confidence;
  }

  #label(label) {
    if (!this.speakers.has(label)) {
      this.speakers.set(label, { label, name: null, merged: false, spoken: 0, sure: 0 });
    }
    return this.speakers.get(label);
  }
}

// The number in a label: 2 in "S2".
export function numberOf(label) {
  return Number(label.slice(1));
}
