// Names and merges: what is asked, and what becomes of it, from the running session or, once that is over, here alone.

import { $, warn } from "./notices.js";

export class Naming {
  // page: () => { transcript, hearing }; onChanges takes what was changed here; mayKeep() whether voices may be kept.
  constructor({ page, onChanges, mayKeep }) {
    Object.assign(this, { page, onChanges, mayKeep });
  }

  // Asks for a label's name, or whose it is too.
  ask(label) {
    const dialog = $("name-dialog");
    const { transcript } = this.page();
    const others = transcript.lanes().filter((speaker) => speaker.label !== label);
    const options = [["", "nobody else"], ...others.map((other) => [other.label, this.title(other.label)])];
    $("name-title").textContent = `Who is ${this.title(label)}?`;
    $("name-input").value = transcript.nameOf(label) ?? "";
    $("name-keep").checked = false;
    $("name-keep").disabled = !this.mayKeep() || !this.#client(label);
    $("name-keep-why").textContent = this.#whyNot(label);
    $("merge-into").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    $("merge-row").hidden = !others.length;
    open(dialog, () => {
      const into = $("merge-into").value;
      const name = $("name-input").value.trim();
      if (into) this.#merge(label, into);
      else if (name) this.#name(label, name, $("name-keep").checked);
    });
    $("name-input").select();
  }

  // Asks whether two labels are one person, which cannot be undone.
  askMerge(label, into) {
    $("merge-title").textContent = `Are ${this.title(label)} and ${this.title(into)} one person?`;
    $("merge-said").textContent = `What ${this.title(label)} said becomes ${this.title(into)}’s. This cannot be undone.`;
    open($("merge-dialog"), () => this.#merge(label, into));
  }

  // Does here what the session did not do before it was over.
  settle(orders) {
    const { transcript } = this.page();
    for (const { message } of orders.splice(0)) {
      const label = transcript.labelOf(message.speaker);
      if (message.type === "label") this.onChanges(transcript.name(label, message.name));
      else this.onChanges(transcript.merge(label, transcript.labelOf(message.into)));
      if (message.scope === "gallery") warn(`${message.name} has the name here, but the stream was over: the voice is not kept.`);
    }
  }

  title(label) {
    return this.page().transcript.nameOf(label) ?? `Speaker ${label.slice(1)}`;
  }

  // The session has the name even where the gallery refuses the voice.
  #name(label, name, keep) {
    const { transcript } = this.page();
    const client = this.#client(label);
    if (!client) return this.onChanges(transcript.name(label, name));
    client.label(transcript.wireOf(label), name);
    if (keep) client.label(transcript.wireOf(label), name, true);
    return undefined;
  }

  #merge(label, into) {
    const { transcript } = this.page();
    const [client, other] = [this.#client(label), this.#client(into)];
    if (client && other) return client.merge(transcript.wireOf(label), transcript.wireOf(into));
    if (!client) return this.onChanges(transcript.merge(label, into));
    // One of an earlier session becomes the running one's, which goes on.
    const name = transcript.nameOf(into);
    this.onChanges(transcript.merge(into, label));
    return name && this.#name(label, name, false);
  }

  // Who takes orders about a label; null where nobody does any more.
  #client(label) {
    const { transcript, hearing } = this.page();
    const client = hearing?.client;
    return client && client.state !== "closed" && transcript.wireOf(label) ? client : null;
  }

  #whyNot(label) {
    if (!this.mayKeep()) return "This token may not keep voices.";
    return this.#client(label) ? "" : "The stream is over: its voices cannot be kept any more.";
  }
}

function open(dialog, onSave) {
  dialog.querySelector("form").onsubmit = () => void onSave();
  dialog.showModal();
}
