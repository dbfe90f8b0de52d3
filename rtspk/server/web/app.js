// The page: one button, lanes that grow, names that can be given, files that can be dropped and downloaded.

import { RtspkClient } from "./client.js";
import { json, rttm, save, srt } from "./downloads.js";
import { clock, colourOf, Lanes } from "./lanes.js";
import { decodeFile, Microphone } from "./microphone.js";
import { Transcript } from "./transcript.js";
import { record, Voices } from "./voices.js";

const $ = (id) => document.getElementById(id);
const SHOWN_TURNS = 200;
const FILE_SECONDS = 0.5; // of a file in one message

let transcript = new Transcript();
let client = null;
let microphone = null;
let asking = false; // for a microphone, which may take a person's answer
let stem = "stream";
let audioMs = 0;
const rows = new Map(); // segment id -> its line in the list of turns

const token = () => $("token").value || null;
const voices = new Voices(token);
const lanes = new Lanes({
  list: $("lanes"),
  canvas: $("canvas"),
  empty: $("empty"),
  transcript,
  onOpen: openName,
  onMerge: (label, into) => client?.merge(label, into),
});

// Sessions

function begin(rate, pace, name) {
  transcript = new Transcript();
  stem = name;
  audioMs = 0;
  rows.clear();
  $("turns").replaceChildren();
  $("warnings").replaceChildren();
  lanes.reset(transcript);
  const address = new URL("/v1/listen", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const options = { latency: Number($("latency").value), pace, heartbeat_seconds: 1 };
  const own = new RtspkClient(address.href, { rate, options, token: token() });
  const mine = (hear) => ({ detail }) => own === client && hear(detail);
  own.addEventListener("message", mine(hear));
  own.addEventListener("heartbeat", mine(beat));
  own.addEventListener("warning", mine((warning) => warn(warning.message)));
  own.addEventListener("fault", mine((fault) => (warn(fault.message), stop())));
  own.addEventListener("state", mine(show));
  client = own;
  lanes.start();
  own.open();
  return own;
}

async function listen() {
  if (asking) return undefined;
  if (client && client.state !== "closed") return stop();
  asking = true;
  try {
    microphone = await Microphone.open((samples, level) => {
      client?.send(samples);
      $("level").style.transform = `scaleX(${Math.min(1, Math.sqrt(level) * 1.4)})`;
    });
  } catch (error) {
    return warn(error.name === "NotAllowedError" ? "The microphone is not allowed for this page." : error.message);
  } finally {
    asking = false;
  }
  const own = microphone;
  own.gone.then(() => own === microphone && (warn("The microphone is gone."), stop()));
  begin(own.rate, "live", "stream");
  return pressed(true);
}

function stop() {
  microphone?.close();
  microphone = null;
  $("level").style.transform = "scaleX(0)";
  client?.end();
  if (client && client.state !== "open" && client.state !== "closed" && !client.resume) client.close();
  pressed(false);
}

async function openFile(file) {
  if (client && client.state !== "closed") {
    stop();
    client.close();
  }
  let sound;
  try {
    state("reading", "reading the file");
    sound = await decodeFile(file);
  } catch {
    state("idle", "ready");
    return warn(`${file.name} holds no sound that this browser reads.`);
  }
  const own = begin(sound.rate, "file", file.name.replace(/\.[^.]*$/u, "") || "stream");
  pressed(true);
  const size = Math.round(sound.rate * FILE_SECONDS);
  for (let at = 0; at < sound.samples.length && own === client && !own.ended; at += size) {
    await own.room();
    own.send(sound.samples.slice(at, at + size));
  }
  own.end();
  return pressed(false);
}

function hear(message) {
  const changes = transcript.apply(message);
  lanes.update(changes);
  for (const { segment, before } of changes) line(segment, before);
  if (message.type === "speaker" && message.event === "named" && message.name) say(`${message.name} is speaking`);
  if (message.type === "speaker" && message.event === "new") say(`a new voice, ${title(message.speaker)}`);
  if (message.type === "end") finish(message.audio_ms);
}

function finish(milliseconds) {
  $("clock").textContent = clock(milliseconds / 1000);
  $("lag").textContent = "–";
  $("lag").classList.remove("bad");
  lanes.now = Math.max(lanes.now, milliseconds / 1000);
  lanes.stop();
  pressed(false);
}

function beat({ audio_ms: milliseconds, lag_ms: lag }) {
  audioMs = milliseconds;
  lanes.now = Math.max(lanes.now, audioMs / 1000);
  $("clock").textContent = clock(audioMs / 1000);
  $("lag").textContent = lag < 1000 ? `${lag} ms` : `${(lag / 1000).toFixed(1)} s`;
  $("lag").classList.toggle("bad", lag > 1500);
}

// What is seen

function show(name) {
  const words = {
    connecting: "connecting",
    open: microphone ? "listening" : "working",
    reconnecting: "connection lost, coming back",
    closed: "done",
  };
  state(name, words[name]);
  if (name === "closed") {
    lanes.stop();
    if (microphone) stop();
    pressed(false);
  }
}

function state(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

function pressed(on) {
  $("listen").setAttribute("aria-pressed", String(on));
  $("listen-text").textContent = on ? "Stop" : "Listen";
}

function say(text) {
  $("announce").textContent = text;
}

function warn(text) {
  if ([...$("warnings").children].some((item) => item.firstChild.textContent === text)) return;
  const item = document.createElement("li");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", () => item.remove());
  item.append(document.createTextNode(text), close);
  $("warnings").append(item);
}

function title(label) {
  return transcript.nameOf(label) ?? `Speaker ${label.slice(1)}`;
}

function line(segment, before) {
  const list = $("turns");
  const follows = list.scrollTop + list.clientHeight > list.scrollHeight - 40; // who has scrolled up reads
  let item = rows.get(segment.id);
  if (!item) {
    item = document.createElement("li");
    item.append(...["time", "b", "span"].map((tag) => document.createElement(tag)));
    rows.set(segment.id, item);
    const next = [...rows].find(([id, other]) => id > segment.id && other.isConnected)?.[1];
    list.insertBefore(item, next ?? null);
    if (list.children.length > SHOWN_TURNS) list.firstChild.remove();
  }
  const [time, who, length] = item.children;
  const said = segment.name ?? `Speaker ${segment.speaker.slice(1)}`;
  const changed = before && (before.speaker !== segment.speaker || before.name !== segment.name);
  time.textContent = clock(segment.start);
  who.textContent = said;
  who.style.setProperty("--own", colourOf(Number(segment.speaker.slice(1)) - 1));
  length.textContent = `${(segment.end - segment.start).toFixed(1)} s`;
  item.classList.toggle("tentative", segment.state === "tentative");
  if (changed) {
    item.classList.remove("changed");
    void item.offsetWidth; // so that the same animation begins again
    item.classList.add("changed");
  }
  if (follows) list.scrollTop = list.scrollHeight;
}

// Naming and merging

async function openName(label) {
  const dialog = $("name-dialog");
  $("name-title").textContent = `Who is ${title(label)}?`;
  $("name-input").value = transcript.nameOf(label) ?? "";
  $("name-keep").checked = false;
  const others = transcript.lanes().filter((speaker) => speaker.label !== label);
  const options = [["", "nobody else"], ...others.map((other) => [other.label, title(other.label)])];
  $("merge-into").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  $("merge-row").hidden = !others.length;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "save" || !client) return;
    const into = $("merge-into").value;
    const name = $("name-input").value.trim();
    if (into) client.merge(label, into);
    else if (name) client.label(label, name, $("name-keep").checked);
  };
  dialog.showModal();
  $("name-input").select();
}

// Known voices

async function showVoices() {
  let known = [];
  try {
    known = await voices.list();
    $("voices-row").hidden = false;
  } catch {
    $("voices-row").hidden = true; // a token that may only listen
  }
  $("known").replaceChildren(...known.map(({ name }) => new Option(name)));
  $("voices").replaceChildren(
    ...known.map(({ name, net_speech: seconds }) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Forget";
      button.setAttribute("aria-label", `Forget ${name}`);
      button.addEventListener("click", async () => {
        if (!confirm(`Forget the voice of ${name}?`)) return;
        await voices.forget(name).catch((error) => warn(error.message));
        showVoices();
      });
      item.append(`${name}, ${Math.round(seconds)} s`, button);
      return item;
    }),
  );
}

async function enrol() {
  const name = $("enrol-name").value.trim();
  if (!name) {
    $("enrol-said").textContent = "Whose voice is it? Write a name first.";
    return $("enrol-name").focus();
  }
  const ring = $("ring");
  const round = 2 * Math.PI * ring.r.baseVal.value;
  ring.style.strokeDasharray = String(round);
  $("enrol-record").disabled = true;
  $("enrol-said").textContent = "Speak now.";
  try {
    const clip = await record((share) => (ring.style.strokeDashoffset = String(round * (1 - share))));
    $("enrol-said").textContent = "Listening to it …";
    const { net_speech: seconds, quality, warnings } = await voices.enrol(name, clip);
    const said = `${name}: ${seconds.toFixed(1)} s of speech, quality ${Math.round(quality * 100)} %.`;
    $("enrol-said").textContent = [said, ...warnings].join(" ");
    showVoices();
  } catch (error) {
    $("enrol-said").textContent = error.message;
  }
  ring.style.strokeDashoffset = String(round);
  $("enrol-record").disabled = false;
  return undefined;
}

// Wiring

$("listen").addEventListener("click", listen);
$("enrol").addEventListener("click", () => $("enrol-dialog").showModal());
$("enrol-record").addEventListener("click", enrol);
$("open-file").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => $("file").files[0] && openFile($("file").files[0]));
$("token").addEventListener("change", () => {
  sessionStorage.setItem("rtspk-token", $("token").value);
  showVoices();
});
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
if (info.needs_token && !token()) {
  document.querySelector(".more").open = true;
  $("token").focus();
}
showVoices();
document.documentElement.dataset.ready = "true";
