// The page: one button, lanes that grow, names that can be given, files that can be dropped and downloaded.

import { clock } from "./clock.js";
import { json, rttm, save, srt } from "./downloads.js";
import { Enrolment } from "./enrolment.js";
import { Hearing } from "./hearing.js";
import { Lanes } from "./lanes.js";
import { Naming } from "./naming.js";
import { $, say, warn } from "./notices.js";
import { Transcript } from "./transcript.js";
import { Turns } from "./turns.js";
import { Voices } from "./voices.js";

const NO_MICROPHONE = {
  NotAllowedError: "The microphone is not allowed for this page.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone cannot be opened: another program may have it.",
  AbortError: "The server cannot be reached.", // what listens to the microphone comes from there
};
const FAULTS = {
  unauthorized: "The server wants a token that it knows: it goes into the settings.",
  forbidden: "The token may not listen.",
};

let transcript = new Transcript();
let hearing = null; // what is listened to, or was last
let stem = "stream";
let audioMs = 0;

const token = () => $("token").value || null;
const enrolment = new Enrolment(new Voices(token));
const turns = new Turns($("turns"), transcript);
const naming = new Naming({
  page: () => ({ transcript, hearing }),
  onChanges: showChanges,
  mayKeep: () => enrolment.allowed,
});
const lanes = new Lanes({
  list: $("lanes"),
  canvas: $("canvas"),
  empty: $("empty"),
  transcript,
  onOpen: (label) => naming.ask(label),
  onMerge: (label, into) => naming.askMerge(label, into),
});

// What is listened to

async function listen() {
  if (hearing?.asking) return undefined;
  if (hearing?.going) return stop();
  const own = begin("stream");
  showState("connecting", "opening the microphone");
  try {
    await own.listen();
  } catch (error) {
    if (own.closed) return undefined;
    giveUp();
    warn(NO_MICROPHONE[error.name] ?? error.message);
  }
  return undefined;
}

async function openFile(file) {
  const own = begin(file.name.replace(/\.[^.]*$/u, "") || "stream");
  showState("connecting", "reading the file");
  try {
    await own.play(file);
  } catch {
    if (own.closed) return;
    giveUp();
    warn(`${file.name} holds no sound that this browser reads.`);
  }
}

// Whoever begins something ends what was before.
function begin(name) {
  release();
  const address = new URL("/v1/listen", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const own = new Hearing({ url: address.href, latency: Number($("latency").value), token: token() });
  hearing = own;
  const on = (type, take) => own.addEventListener(type, ({ detail }) => take(detail));
  on("begun", () => clear(name));
  on("going", showGoing);
  on("level", showLevel);
  on("state", showClient);
  on("message", hear);
  on("heartbeat", beat);
  on("warning", ({ message }) => warn(message));
  on("fault", showFault);
  on("arrived", ({ scope }) => scope === "gallery" && enrolment.refresh());
  on("renewed", goOn);
  showGoing(true);
  return own;
}

function stop() {
  hearing.stop();
  if (!hearing.client) giveUp();
}

function giveUp() {
  release();
  showState("idle", "ready");
}

function release() {
  hearing?.close();
  if (hearing?.client) naming.settle(hearing.client.orders);
  lanes.stop();
  showGoing(false);
}

function clear(name) {
  transcript = new Transcript();
  stem = name;
  audioMs = 0;
  turns.reset(transcript);
  $("warnings").replaceChildren();
  lanes.reset(transcript);
  lanes.start();
}

function hear(message) {
  showChanges(transcript.apply(message));
  if (message.type === "speaker" && message.event !== "merged") announce(message);
  if (message.type === "end") finish(transcript.audioMs);
}

function announce({ event, speaker, name }) {
  if (event === "named" && name) say(`${name} is speaking`);
  if (event === "new") say(`a new voice, ${naming.title(transcript.labelOf(speaker))}`);
}

// The server was started anew and knows nothing of the session; what it said stays.
function goOn({ seconds, orders }) {
  naming.settle(orders);
  showChanges(transcript.goOn(seconds));
  warn("The server lost the session and has begun another: who spoke before may get a second lane.");
}

function beat({ audio_ms: milliseconds, lag_ms: lag }) {
  audioMs = milliseconds;
  lanes.now = Math.max(lanes.now, audioMs / 1000);
  $("clock").textContent = clock(audioMs / 1000);
  $("lag").textContent = lag < 1000 ? `${lag} ms` : `${(lag / 1000).toFixed(1)} s`;
  $("lag").classList.toggle("bad", lag > 1500);
}

function finish(milliseconds) {
  $("clock").textContent = clock(milliseconds / 1000);
  $("lag").textContent = "–";
  $("lag").classList.remove("bad");
  lanes.now = Math.max(lanes.now, milliseconds / 1000);
  lanes.stop();
  showClient("open");
}

// What is seen

function showChanges(changes) {
  lanes.update(changes);
  turns.update(changes);
}

function showClient(name) {
  const open = hearing.microphone ? "listening" : hearing.going ? "working" : "finishing";
  const words = { connecting: "connecting", open, reconnecting: "connection lost, coming back", closed: "done" };
  if (name === "open" && hearing.client.done) return showState("closed", words.closed);
  showState(name, words[name]);
  if (name !== "closed") return undefined;
  lanes.stop();
  return naming.settle(hearing.client.orders);
}

function showFault({ code, message }) {
  warn(FAULTS[code] ?? message);
  if (code === "unauthorized") askForToken();
}

function askForToken() {
  document.querySelector(".more").open = true;
  $("token").focus();
}

function showState(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

function showGoing(on) {
  $("listen").setAttribute("aria-pressed", String(on));
  $("listen-text").textContent = on ? "Stop" : "Listen";
  if (on) return;
  showLevel(0);
  if (hearing?.client?.state === "open") showClient("open");
}

function showLevel(level) {
  $("level").style.transform = `scaleX(${Math.min(1, Math.sqrt(level) * 1.4)})`;
}

// Wiring

$("listen").addEventListener("click", ({ detail }) => detail < 2 && listen()); // a double click is one
$("open-file").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  if ($("file").files[0]) openFile($("file").files[0]);
  $("file").value = ""; // so that the same file may be chosen again
});
$("token").addEventListener("change", () => {
  sessionStorage.setItem("rtspk-token", $("token").value);
  enrolment.refresh();
});
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => {
    const { format } = button.dataset;
    transcript.audioMs ||= audioMs;
    if (format === "rttm") save(rttm(transcript, stem), `${stem}.rttm`, "text/plain");
    if (format === "srt") save(srt(transcript), `${stem}.srt`, "application/x-subrip");
    if (format === "json") save(json(transcript, stem), `${stem}.json`, "application/json");
  });
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});

const info = await fetch("/v1/info").then((answer) => answer.json());
$("token-row").hidden = !info.needs_token;
$("token").value = sessionStorage.getItem("rtspk-token") ?? "";
if (info.needs_token && !token()) askForToken();
enrolment.refresh();
document.documentElement.dataset.ready = "true";
