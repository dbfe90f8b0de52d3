// What a person is told: lines that stay until they are dismissed, and words for who does not see the page.

export const $ = (id) => document.getElementById(id);

export function say(text) {
  $("announce").textContent = text;
}

export function warn(text) {
  if ([...$("warnings").children].some((item) => item.firstChild.textContent === text)) return;
  const item = document.createElement("li");
  const close = document.createElement("button");
  const words = document.createElement("span");
  words.textContent = text;
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", () => item.remove());
  item.append(words, close);
  $("warnings").append(item);
}
