// A microphone or a file, from its beginning to its end, and the client that sends it. The page has one at a time:
// whoever begins another closes this one, which is silent from then on.
//
// Events: those of the client, "begun" (sound goes to the server), "level" (of the microphone), "going" (whether
// more sound may come has changed), "renewed" (the server lost the session, another one goes on).

import { RtspkClient } from "./client.js";
import { decodeFile, Microphone } from "./microphone.js";

const LINGER_SECONDS = 600; // for which voices can be kept behind the end
const FILE_SECONDS = 0.5; // of a file in one message
const FORGOTTEN = new Set(["resume_unknown", "resume_lost"]); // a server that was started anew knows no session

export class Hearing extends EventTarget {
  constructor({ url, latency, token }) {
    super();
    Object.assign(this, { url, latency, token });
    this.going = true; // more sound may come
    this.asking = false; // for a microphone, which may take a person's answer
    this.closed = false; // somebody else's turn
    this.microphone = null;
    this.client = null; // once there is sound
    this.seconds = 0; // of sound in sessions that the server lost
  }

  // Rejects where there is no microphone.
  async listen() {
    this.asking = true;
    const opened = Microphone.open((samples, level) => {
      this.client?.send(samples);
      this.#tell("level", level);
    });
    const microphone = await opened.finally(() => (this.asking = false));
    if (this.closed) return microphone.close();
    this.microphone = microphone;
    microphone.gone.then(() => {
      if (this.microphone !== microphone) return;
      this.#tell("warning", { message: "The microphone is gone." });
      this.stop();
    });
    return this.#begin(microphone.rate, "live");
  }

  // Rejects where the browser reads no sound in the file; resolves when all of it is sent.
  async play(file) {
    const { samples, rate } = await decodeFile(file);
    if (this.closed) return;
    this.#begin(rate, "file");
    const size = Math.round(rate * FILE_SECONDS);
    for (let at = 0; at < samples.length && this.going; at += size) {
      await this.client.room();
      this.client.send(samples.slice(at, at + size));
    }
    this.client.end();
  }

  // No more sound; what is left to say still comes. A second time lets go of that too.
  stop() {
    const { client } = this;
    const enough = !client || client.ended || !(client.resume || client.state === "open");
    this.#halt();
    client?.end();
    if (client && enough) client.close();
  }

  // Lets go at once, and says nothing more.
  close() {
    this.closed = true;
    this.#halt();
    this.client?.close();
  }

  #halt() {
    this.microphone?.close();
    this.microphone = null;
    if (!this.going) return;
    this.going = false;
    this.#tell("going", false);
  }

  #begin(rate, pace) {
    this.#tell("begun", { rate, pace });
    this.#connect(rate, pace);
  }

  #connect(rate, pace) {
    const options = { latency: this.latency, pace, heartbeat_seconds: 1, linger_seconds: LINGER_SECONDS };
    const client = new RtspkClient(this.url, { rate, options, token: this.token });
    this.client = client;
    const pass = (type, change = (detail) => detail) => {
      client.addEventListener(type, ({ detail }) => client === this.client && this.#tell(type, change(detail)));
    };
    for (const type of ["message", "warning", "arrived"]) pass(type);
    client.addEventListener("message", ({ detail }) => detail.type === "end" && client === this.client && this.#halt());
    pass("heartbeat", (beat) => ({ ...beat, audio_ms: beat.audio_ms + Math.round(this.seconds * 1000) }));
    client.addEventListener("state", ({ detail }) => client === this.client && this.#state(detail));
    client.addEventListener("fault", ({ detail }) => client === this.client && this.#fault(detail, client));
    client.open();
    return client;
  }

  #state(name) {
    if (name === "closed") this.#halt();
    this.#tell("state", name);
  }

  #fault(fault, client) {
    if (FORGOTTEN.has(fault.code)) return this.#renew(client);
    this.#tell("fault", fault);
    return this.stop();
  }

  // Another session goes on with all sound that the lost one had not confirmed.
  #renew({ format, options, kept, sent, ended, orders }) {
    this.seconds += (kept[0]?.at ?? sent) / format.rate;
    this.#tell("renewed", { seconds: this.seconds, orders });
    const client = this.#connect(format.rate, options.pace);
    for (const { samples } of kept) client.send(samples);
    if (ended) client.end();
  }

  #tell(type, detail) {
    if (!this.closed) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
