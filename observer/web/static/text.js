// How figures are written: times in UTC, amounts with their unit, digests in groups. Every function gives text or elements.

import { el } from "./dom.js";

const DATE_MS_MAX = 253402300799999;

export function formatTime(ms) {
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > DATE_MS_MAX) return `${ms} ms`;
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export function formatDay(ms) {
  return formatTime(ms).slice(0, 10);
}

export function formatClock(ms) {
  return formatTime(ms).slice(11, 19);
}

/** How long, in the two largest units. */
export function formatSpan(ms) {
  const seconds = Math.floor(Math.abs(ms) / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const from = parts.findIndex(([count]) => count > 0);
  return from < 0
    ? "0 s"
    : parts
        .slice(from, from + 2)
        .filter(([count]) => count > 0)
        .map(([count, unit]) => `${count} ${unit}`)
        .join(" ");
}

export function time(ms) {
  const text = formatTime(ms);
  return text.endsWith("UTC") ? el("time", { datetime: new Date(ms).toISOString() }, text) : text;
}

export function formatCount(number) {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

export function formatGflops(decimal) {
  const gflops = BigInt(decimal);
  if (gflops === 0n) return "not registered";
  const units = [
    ["EFLOP/s", 10n ** 9n],
    ["PFLOP/s", 10n ** 6n],
    ["TFLOP/s", 10n ** 3n],
  ];
  const [unit, size] = units.find(([, each]) => gflops >= 10n * each) ?? ["GFLOP/s", 1n];
  return `${formatCount(gflops / size)} ${unit}`;
}

export function formatPermille(permille) {
  return `${Math.floor(permille / 10)}.${permille % 10} %`;
}

export function formatRate(tenths) {
  return `${formatCount(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** A digest in full, breakable between groups of eight, so that it can be read out and fits a phone. */
export function digest(hex) {
  return el(
    "code",
    { class: "digest" },
    (hex.match(/.{1,8}/g) ?? []).flatMap((group, i) => (i === 0 ? [group] : [el("wbr"), group])),
  );
}

export function shorten(hex, count = 8) {
  return hex.length > count ? `${hex.slice(0, count)}…` : hex;
}

export function plural(count, one, many = `${one}s`) {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
