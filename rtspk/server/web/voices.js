// The gallery over HTTP: who is known, and a new voice from the microphone.

import { Microphone, wavOf } from "./microphone.js";

const SECONDS = 10;

export class Voices {
  constructor(token) {
    this.token = token; // () => string | null
  }

  async list() {
    return (await this.#ask("GET", "")).speakers;
  }

  forget(name) {
    return this.#ask("DELETE", name);
  }

  enrol(name, clip) {
    return this.#ask("POST", name, clip);
  }

  // Rejects with what the server says; `denied` where the token may not.
  async #ask(method, name, body = undefined) {
    const headers = this.token() ? { Authorization: `Bearer ${this.token()}` } : {};
    const path = name ? `/v1/speakers/${encodeURIComponent(name)}` : "/v1/speakers";
    const answer = await fetch(path, { method, headers, body });
    if (answer.status === 204) return null;
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.error.message), { denied: [401, 403].includes(answer.status) });
    return said;
  }
}

// Records for ten seconds; onProgress(share) is called as they pass. Rejects where `signal` is aborted meanwhile.
export async function record(onProgress, signal) {
  const parts = [];
  let length = 0;
  let finish;
  const done = new Promise((resolve) => (finish = resolve));
  signal.addEventListener("abort", finish);
  const microphone = await Microphone.open((samples) => {
    parts.push(samples);
    length += samples.length;
    const share = microphone ? length / (SECONDS * microphone.rate) : 0;
    onProgress(Math.min(1, share));
    if (share >= 1) finish();
  });
  await Promise.race([done, microphone.gone]);
  await microphone.close();
  signal.throwIfAborted();
  return wavOf(parts, microphone.rate);
}
