// The turns as files: RTTM, SRT and JSON, as the command line writes them.

export function rttm(transcript, stem) {
  const field = (text) => text.trim().replace(/\s+/gu, "_");
  return transcript
    .joined()
    .map(({ start, end, speaker, name }) => {
      const length = (Math.round(end * 1000) - Math.round(start * 1000)) / 1000;
      const who = field(name ?? speaker);
      return `SPEAKER ${field(stem)} 1 ${start.toFixed(3)} ${length.toFixed(3)} <NA> <NA> ${who} <NA> <NA>\n`;
    })
    .join("");
}

export function srt(transcript) {
  return transcript
    .joined()
    .map(({ start, end, speaker, name }, n) => `${n + 1}\n${stamp(start)} --> ${stamp(end)}\n${name ?? speaker}\n`)
    .join("\n");
}

export function json(transcript, stem) {
  const speakers = transcript.lanes().map(({ label, name, spoken, sure }) => {
    return { speaker: label, name, seconds: round(spoken), confidence: round(spoken ? sure / spoken : 0) };
  });
  const segments = transcript.joined().map(({ start, end, speaker, name, score, confidence, overlap }) => {
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
