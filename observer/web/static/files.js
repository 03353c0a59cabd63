// Files that the page hands out itself, of bytes that it verified: what is saved is what was checked, not a second answer.

import { el } from "./dom.js";
import { DOMAINS } from "./domains.js";
import { decodeUtf8, encodeBase64, encodeUtf8 } from "./encoding.js";
import { session } from "./session.js";

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

/** Everything that is handed out here was verified here; only the post-quantum keys of the server's certificate were not. */
export function downloads(index, { kind, predicate }, outcome) {
  const item = (button, said) => el("li", null, button, el("span", { class: "quiet" }, ` ${said}`));
  const place = [predicate.lab, predicate.cluster, predicate.interval].map(String);
  const name = `${place.join("-")}.json`;
  return el(
    "div",
    { class: "downloads" },
    el("h3", null, "Take it with you"),
    el(
      "ul",
      null,
      item(
        downloadButton("receipt", `entry-${index}.tlog-proof`, outcome.receiptRaw),
        "C2SP tlog-proof; verified bytes",
      ),
      item(downloadButton("entry", `entry-${index}.entry`, outcome.entry), "what the receipt is about; verified bytes"),
      item(downloadButton("charter", "charter", session.charterEntry), "entry 0; compare its fingerprint"),
      kind === "verdict"
        ? [
            item(downloadButton("certificate", name, encodeCertificate(outcome)), "all three in one file"),
            item(
              el(
                "a",
                { href: `api/v1/certificates/${place.map(encodeURIComponent).join("/")}`, download: name },
                "newest certificate",
              ),
              "of the newest verdict there, with post-quantum keys; relayed",
            ),
          ]
        : null,
    ),
    el(
      "p",
      { class: "quiet" },
      "The first three in one folder: ",
      el("code", null, `counterseal verify entry-${index}.tlog-proof --charter-fingerprint HEX`),
    ),
  );
}

/** A certificate in its one encoding (docs/formats.md), without keys for the lines that this page cannot check. */
function encodeCertificate({ charter, entry, receiptRaw }) {
  const certificate = {
    format: DOMAINS.CERTIFICATE_FORMAT,
    charter: encodeBase64(charter.entry),
    entry: encodeBase64(entry),
    receipt: decodeUtf8(receiptRaw, "receipt"),
  };
  return encodeUtf8(JSON.stringify(certificate));
}
