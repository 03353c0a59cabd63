// Search: labs, clusters, nations and pauses by name, entries by index or leaf hash, blocks by height or digest.

import { el, replace } from "../dom.js";
import { askVerified } from "../session.js";
import { nothing, relayed, section } from "../parts.js";

export const title = "Search";

const PLACES = {
  entry: ({ id }) => `#/entry/${id}`,
  block: ({ id }) => `#/block/${id}`,
  lab: ({ id }) => `#/lab/${encodeURIComponent(id)}`,
  cluster: ({ about }) => `#/lab/${encodeURIComponent(about)}`,
  nation: () => "#/nations",
  pause: ({ id }) => `#/pauses/${encodeURIComponent(id)}`,
};

export async function show(main, { query, signal }) {
  const q = (query.get("q") ?? "").trim();
  if (q === "") {
    replace(
      main,
      el("h1", null, "Search"),
      nothing("Give a lab, a cluster, a nation, a pause, an entry's index or leaf hash, a block's height or digest."),
    );
    return;
  }
  const answer = await askVerified("search", { q }, signal);
  replace(
    main,
    el("h1", null, "Search"),
    section(
      `Found for “${q}”`,
      relayed(),
      answer.hits.length === 0
        ? nothing("Nothing. Digests must be complete: 64 hexadecimal digits.")
        : el(
            "ul",
            { class: "hits" },
            answer.hits.map((hit) =>
              el(
                "li",
                null,
                el("span", { class: "hit-kind" }, hit.kind),
                " ",
                el("a", { href: PLACES[hit.kind]?.(hit) ?? "#/" }, hit.title || hit.id),
                hit.about ? el("span", { class: "quiet" }, ` ${hit.about}`) : null,
              ),
            ),
          ),
      answer.is_complete ? null : el("p", { class: "quiet" }, "There is more: ask more narrowly."),
    ),
  );
}
