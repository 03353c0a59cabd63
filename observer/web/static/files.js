// Files that the page hands out itself, of bytes that it verified: what is saved is what was checked, not a second answer.

import { el } from "./dom.js";

export function downloadButton(text, name, raw) {
  return el("button", { type: "button", class: "link", onclick: () => save(name, raw) }, text);
}

function save(name, raw) {
  const url = URL.createObjectURL(new Blob([raw], { type: "application/octet-stream" }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
