// A client of the protocol (docs/protocol.md) for any page: sends 16-bit samples, tells what the server says, and
// goes on where it was when the connection breaks.
//
//   const client = new RtspkClient("wss://host/v1/listen", { rate: 48000 });
//   client.addEventListener("message", ({ detail }) => console.log(detail));
//   client.open();
//   client.send(int16Samples);
//   client.end();
//
// Events: "message" (segment, revise, speaker, end), "ready", "heartbeat", "warning", "fault" (the session is over),
// "state" ("connecting", "open", "reconnecting", "closed"), "arrived" (a label or merge that the server has worked on).

const RETRIES = [100, 300, 1000, 2000, 5000]; // ms between attempts; the last one again and again
const KEPT_SECONDS = 60; // of sound that the server has not acknowledged
const AHEAD_SECONDS = 30; // of a file that may be on its way: the line's buffers may hold more than is kept
const SILENCE = 20000; // ms; the server says a heartbeat every 2 s, so a longer silence is a line that is dead
const LAST = { 1009: "The messages are too long for this server.", 4000: "The session was resumed elsewhere." };
const FULL = 1 << 19; // bytes that may wait in the socket before a file waits too

export class RtspkClient extends EventTarget {
  constructor(url, { rate, channels = 1, options = {}, token = null } = {}) {
    super();
    this.url = url;
    this.format = { encoding: "s16le", rate, channels };
    this.options = options;
    this.token = token;
    this.state = "idle";
    this.seq = 0; // of the last event that came
    this.sent = 0; // samples per channel that were given to us
    this.kept = []; // [{ at, samples }] that the server may want again
    this.resume = null; // { token, until } once there is a session
    this.attempt = 0;
    this.ended = false; // by us
    this.over = false; // by the server
    this.lingers = options.linger_seconds > 0; // labels and merges may follow behind the end
    this.done = false; // the end is said, and the session lingers
    this.orders = []; // [{ message, flush, told }] that the server may not have; once closed, will not have
    this.flushes = 0;
  }

  open() {
    this.#set(this.resume ? "reconnecting" : "connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const start = { type: "start", version: 1, format: this.format, options: this.options };
      if (this.token) start.token = this.token;
      if (this.resume) start.resume = { token: this.resume.token, seq: this.seq };
      socket.send(JSON.stringify(start));
    };
    socket.onmessage = ({ data }) => {
      this.#expect(socket);
      this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => socket === this.socket && this.#lost(LAST[code]);
    this.#expect(socket);
  }

  // Sends the next Int16Array, interleaved.
  send(samples) {
    if (this.ended || this.over) return;
    this.kept.push({ at: this.sent, samples });
    this.sent += samples.length / this.format.channels;
    if (this.state === "open") this.socket.send(samples);
    while (this.sent - this.kept[0].at > KEPT_SECONDS * this.format.rate && this.state === "open") this.kept.shift();
  }

  // Resolves when there is room for more, which a file should wait for.
  async room() {
    const ahead = () => this.sent - (this.kept[0]?.at ?? this.sent) > AHEAD_SECONDS * this.format.rate;
    while (!this.over && (this.state !== "open" || this.socket.bufferedAmount > FULL || ahead())) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  label(speaker, name, keep = false) {
    this.#order({ type: "label", speaker, name, scope: keep ? "gallery" : "session" });
  }

  merge(speaker, into) {
    this.#order({ type: "merge", speaker, into });
  }

  // No more sound; what is left to say still comes, then "closed". A session that lingers is closed by `close`.
  end() {
    if (this.ended) return;
    this.ended = true;
    if (this.state === "open") this.#say({ type: "end" });
  }

  // Lets go at once.
  close() {
    this.over = true;
    clearTimeout(this.silence);
    this.socket?.close(1000);
    this.#set("closed");
  }

  // A line may be dead without a sign, so an order is kept until the flush behind it is answered.
  #order(message) {
    const order = { message, flush: ++this.flushes, told: 0 };
    this.orders.push(order);
    if (this.state === "open" && (!this.ended || this.lingers)) this.#tellOrder(order);
  }

  #tellOrder(order) {
    order.told += 1;
    this.#say(order.message);
    this.#say({ type: "flush", id: order.flush });
  }

  #say(message) {
    this.socket.send(JSON.stringify(message));
  }

  #receive(message) {
    switch (message.type) {
      case "ready":
        return this.#begin(message);
      case "ack":
        this.#arrived(message.flush ?? 0);
        return this.#forget(message.received);
      case "error":
        this.over = !message.retryable || !this.resume;
        return this.over && this.#tell("fault", message);
      case "warning":
        return this.#isOfRepeat(message) ? undefined : this.#tell("warning", message);
      case "heartbeat":
        return this.#tell("heartbeat", message);
      default:
        if (!Number.isInteger(message.seq) || message.seq <= this.seq) return undefined; // of a later protocol
        this.seq = message.seq;
        if (message.type === "end") this[this.lingers ? "done" : "over"] = true;
        return this.#tell("message", message);
    }
  }

  #begin(ready) {
    this.attempt = 0;
    this.resume = { token: ready.resume_token, until: 0, seconds: ready.resume_seconds };
    this.#forget(ready.received);
    this.#set("open");
    this.#tell("ready", ready);
    for (const { samples } of this.kept) this.socket.send(samples);
    for (const order of this.orders) this.#tellOrder(order);
    if (this.ended) this.#say({ type: "end" });
  }

  #arrived(flush) {
    while (this.orders.length && this.orders[0].flush <= flush) this.#tell("arrived", this.orders.shift().message);
  }

  // What was done before the line broke cannot be done once more, which is no news.
  #isOfRepeat({ code }) {
    const [order] = this.orders;
    return code === "refused" && order?.told > 1 && order.message.scope !== "gallery";
  }

  #forget(received) {
    const { channels } = this.format;
    while (this.kept.length && this.kept[0].at + this.kept[0].samples.length / channels <= received) this.kept.shift();
    const first = this.kept[0];
    if (first && first.at < received) {
      first.samples = first.samples.subarray((received - first.at) * channels);
      first.at = received;
    }
  }

  // A dead line closes nothing by itself: without a sign of life it is left for a new one.
  #expect(socket) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      if (socket !== this.socket || this.state === "closed") return;
      this.socket = null;
      socket.close();
      this.#lost();
    }, SILENCE);
  }

  #lost(why) {
    clearTimeout(this.silence);
    if (this.over || this.done) return this.#set("closed");
    if (why) {
      this.over = true;
      this.#tell("fault", { code: "closed", message: why });
      return this.#set("closed");
    }
    if (!this.resume) {
      this.over = true;
      this.#tell("fault", { code: "unreachable", message: "The server cannot be reached." });
      return this.#set("closed");
    }
    const now = Date.now();
    this.resume.until ||= now + this.resume.seconds * 1000;
    if (now > this.resume.until) {
      this.over = true;
      this.#tell("fault", { code: "lost", message: "The connection was lost for too long." });
      return this.#set("closed");
    }
    this.#set("reconnecting");
    const wait = RETRIES[Math.min(this.attempt++, RETRIES.length - 1)];
    return setTimeout(() => this.over || this.open(), wait);
  }

  #set(state) {
    if (state === this.state) return;
    this.state = state;
    this.#tell("state", state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
