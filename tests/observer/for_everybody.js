// What a view must have so that everybody can use it; evaluated in the page, gives what is wrong. WCAG 2.2: 1.1.1, 1.3.1,
// 1.4.3, 2.4.2, 2.4.6, 3.1.1, 4.1.2; and of our own: no state without its assurance level.
() => {
  const wrong = [];
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const one = (selector) => {
    const n = document.querySelectorAll(selector).length;
    if (n !== 1) wrong.push(`${n} of ${selector}`);
  };
  ["main", "h1", "header.masthead", "nav[aria-label]", "aside[aria-label]", "footer"].forEach(one);
  if (document.documentElement.lang !== "en") wrong.push("lang");
  if (!document.title.includes("Counterseal")) wrong.push("title");
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    const now = Number(e.tagName[1]);
    if (now > level + 1) wrong.push(`h${now} after h${level}: ${e.textContent}`);
    level = now;
  }
  const name = (e) => (e.getAttribute("aria-label") ?? e.textContent).trim() || e.querySelector("svg[aria-label]");
  for (const e of document.querySelectorAll("a, button, summary"))
    if (seen(e) && !name(e)) wrong.push(`no name: ${e.outerHTML}`);
  for (const e of document.querySelectorAll("input, textarea, select"))
    if (!e.labels.length) wrong.push(`no label: ${e.outerHTML}`);
  for (const e of document.querySelectorAll("table"))
    if (!e.caption || !e.querySelector("th[scope=col]")) wrong.push("table without caption or headings");
  for (const e of document.querySelectorAll("svg"))
    if (!(e.ariaHidden === "true" || e.getAttribute("aria-label"))) wrong.push("svg without a name");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id twice");
  for (const e of document.querySelectorAll(".verdict, .heatmap td.cell a"))
    if (!/A[0-4]/.test(e.textContent)) wrong.push(`state without level: ${e.textContent}`);
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !seen(e) || e.closest("svg, noscript, .visually-hidden, .skip")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const isLarge =
      parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5))
      wrong.push(`contrast ${ratio.toFixed(2)}: ${walker.currentNode.data.slice(0, 40)} (${e.className})`);
    count += 1;
  }
  if (count < 20) wrong.push(`only ${count} texts`);
  return wrong;
};
