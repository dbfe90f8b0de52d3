// The turns as files: RTTM, SRT and JSON, as the command line writes them.

export function rttm(transcript, stem) {
  const field = (text) => text.trim().replace(/\s+/gu, "_");
  return transcript
    .joined({ final: true })
    .map(({ start, end, speaker, name }) => {
      const length = (Math.round(end * 1000) - Math.round(start * 1000)) / 1000;
      const who = field(name ?? speaker);
      return `SPEAKER ${field(stem)} 1 ${start.toFixed(3)} ${length.toFixed(3)} <NA> <NA> ${who} <NA> <NA>\n`;
    })
    .join("");
}

export function srt(transcript) {
  return transcript
    .joined({ final: true })
    .map(({ start, end, speaker, name }, n) => `${n + 1}\n${stamp(start)} --> ${stamp(end)}\n${name ?? speaker}\n`)
    .join("\n");
}

export function json(transcript, stem) {
  const turns = transcript.joined({ final: true });
  const first = new Map(); // label -> where it is first heard
  const spoken = new Map(); // label -> seconds; nobody speaks twice at once, as merged lanes at times seem to
  for (const { speaker, start } of transcript.segments.values()) {
    first.set(speaker, Math.min(first.get(speaker) ?? start, start));
  }
  for (const { speaker, start, end } of turns) spoken.set(speaker, (spoken.get(speaker) ?? 0) + end - start);
  const lanes = transcript.lanes().sort((a, b) => first.get(a.label) - first.get(b.label));
  const speakers = lanes.map(({ label, name, spoken: sum, sure }) => {
    return { speaker: label, name, seconds: round(spoken.get(label) ?? 0), confidence: round(sum ? sure / sum : 0) };
  });
  const segments = turns.map(({ start, end, speaker, name, score, confidence, overlap }) => {
    return { start, end, speaker, name, score: round(score), confidence: round(confidence), overlap };
  });
  return `${JSON.stringify({ file: stem, audio_ms: transcript.audioMs, speakers, segments }, null, 2)}\n`;
}

export function save(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const round = (value) => Math.round(value * 1000) / 1000;

function stamp(seconds) {
  const milliseconds = Math.round(seconds * 1000);
  const part = (value, width = 2) => String(Math.floor(value)).padStart(width, "0");
  const [s, m] = [milliseconds / 1000, milliseconds / 60000];
  return `${part(m / 60)}:${part(m % 60)}:${part(s % 60)},${part(milliseconds % 1000, 3)}`;
}
