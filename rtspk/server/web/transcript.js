// The turns of a stream as they are known now: messages in, every later correction applied.

export class Transcript {
  constructor() {
    this.segments = new Map(); // id -> segment
    this.speakers = new Map(); // label -> { label, name, merged, spoken, sure }
    this.audioMs = 0;
  }

  // Takes a message; returns the segments that it changed, each with what it was before.
  apply(message) {
    switch (message.type) {
      case "segment":
        return this.#segment(message);
      case "revise":
        return message.changes.flatMap((change) => this.#change(change));
      case "speaker":
        return this.#speaker(message);
      case "end":
        this.audioMs = message.audio_ms;
        return [];
      default:
        return [];
    }
  }

  // Labels that hold any turn, in the order in which they were announced.
  lanes() {
    return [...this.speakers.values()].filter((speaker) => !speaker.merged && speaker.spoken > 1e-6);
  }

  nameOf(label) {
    return this.speakers.get(label)?.name ?? null;
  }

  // Final turns by start; those of one person that touch are one, as in files.
  joined() {
    const turns = [];
    const last = new Map();
    const finals = [...this.segments.values()].filter((segment) => segment.state === "final");
    const sorted = finals.sort((a, b) => a.start - b.start || a.end - b.end);
    for (const segment of sorted) {
      const who = segment.name === null ? `label ${segment.speaker}` : `name ${segment.name}`;
      const before = last.get(who);
      if (before && segment.start <= before.end) {
        const [a, b] = [before.end - before.start, segment.end - segment.start];
        const share = a + b ? b / (a + b) : 0.5;
        before.confidence += (segment.confidence - before.confidence) * share;
        before.score += (segment.score - before.score) * share;
        before.end = Math.max(before.end, segment.end);
        before.overlap ||= segment.overlap;
      } else {
        const turn = { ...segment };
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
    const known = this.#label(speaker);
    if (event === "named") {
      known.name = name;
      return this.#relabel(speaker, speaker, name);
    }
    if (event === "merged") {
      known.merged = true;
      return this.#relabel(speaker, into, this.#label(into).name);
    }
    return [];
  }

  #relabel(label, into, name) {
    const changed = [];
    for (const before of this.segments.values()) {
      if (before.speaker !== label || (label === into && before.name === name)) continue;
      const segment = { ...before, speaker: into, name };
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
