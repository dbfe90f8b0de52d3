// The voices that are known, and the dialog that records another one.

import { $, warn } from "./notices.js";
import { record } from "./voices.js";

export class Enrolment {
  constructor(voices) {
    this.voices = voices;
    this.allowed = true; // as far as is known
    $("enrol").addEventListener("click", () => this.open());
    $("enrol-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#enrol();
    });
  }

  // Looks up who is known, and whether this token may add to them.
  async refresh() {
    let known = [];
    try {
      known = await this.voices.list();
      this.allowed = true;
      $("voices-row").hidden = false;
    } catch (error) {
      this.allowed = !error.denied;
      $("voices-row").hidden = true;
    }
    $("known").replaceChildren(...known.map(({ name }) => new Option(name)));
    $("voices").replaceChildren(...known.map((voice) => this.#item(voice)));
  }

  async open() {
    $("enrol-said").textContent = "Speak as you do in a conversation.";
    $("enrol-dialog").showModal();
    await this.refresh();
    $("enrol-record").disabled = !this.allowed;
    if (!this.allowed) $("enrol-said").textContent = "Voices are enrolled with a token that has the scope enroll.";
  }

  #item({ name, net_speech: seconds }) {
    const item = document.createElement("li");
    const words = document.createElement("span");
    const button = document.createElement("button");
    words.textContent = `${name}, ${Math.round(seconds)} s`;
    button.type = "button";
    button.textContent = "Forget";
    button.setAttribute("aria-label", `Forget ${name}`);
    button.addEventListener("click", async () => {
      if (!confirm(`Forget the voice of ${name}?`)) return;
      await this.voices.forget(name).catch((error) => warn(error.message));
      this.refresh();
    });
    item.append(words, button);
    return item;
  }

  // Nothing is enrolled of a recording whose dialog was closed.
  async #enrol() {
    const name = $("enrol-name").value.trim();
    if (!name) {
      $("enrol-said").textContent = "Whose voice is it? Write a name first.";
      return $("enrol-name").focus();
    }
    const given = new AbortController();
    $("enrol-dialog").addEventListener("close", () => given.abort(), { once: true });
    $("enrol-record").disabled = true;
    $("enrol-said").textContent = "Speak now.";
    try {
      const clip = await record(showShare, given.signal);
      $("enrol-said").textContent = "Listening to it …";
      const { net_speech: seconds, quality, warnings } = await this.voices.enrol(name, clip);
      const said = `${name}: ${seconds.toFixed(1)} s of speech, quality ${Math.round(quality * 100)} %`;
      $("enrol-said").textContent = `${[said, ...warnings].join(". ")}.`;
      this.refresh();
    } catch (error) {
      $("enrol-said").textContent = given.signal.aborted ? "" : error.message;
    }
    showShare(0);
    $("enrol-record").disabled = false;
    return undefined;
  }
}

function showShare(share) {
  const ring = $("ring");
  const round = 2 * Math.PI * ring.r.baseVal.value;
  ring.style.strokeDasharray = String(round);
  ring.style.strokeDashoffset = String(round * (1 - share));
}
