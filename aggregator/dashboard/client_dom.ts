/** Browser script, part 1: elements, numbers, times, and calls of the API.
 *
 * Invariant: text reaches the page through `textContent` only, with control, zero-width and direction characters made visible; there
 * is no way in this script to turn a string into markup. @module */

export const clientDom = String.raw`
const hostile = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Wire strings, inert and visible. */
function inert(text) {
  return String(text).replace(hostile, (c) => c === "\n" ? c : "\\u{" + c.codePointAt(0).toString(16) + "}");
}

/** h("p.soft.small", "text", child, ...): an element with classes and children. */
function h(selector, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(" ");
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined) continue;
    element.append(child instanceof Node ? child : document.createTextNode(inert(child)));
  }
}

function s(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  append(element, children);
  return element;
}

const byId = (id) => document.getElementById(id);
const fill = (id, ...children) => byId(id).replaceChildren(...children.filter((child) => child !== null));
const wire = (text) => h("span.mono.wire", text);

/** A cell that carries its column's name, which a phone shows beside it. */
function cell(label, content, classes) {
  const td = h("td" + (classes ? "." + classes : ""), content);
  td.dataset.label = label;
  return td;
}

function table(columns, rows, caption) {
  const head = h("tr");
  for (const [label, classes] of columns) {
    const th = h("th" + (classes ? "." + classes : ""), label);
    th.scope = "col";
    head.append(th);
  }
  return h("div.table", h("table", h("caption.unseen", caption), h("thead", head), h("tbody", ...rows)));
}

function badge(word, tone) {
  return h("span.badge.tone-" + tone, word);
}

function count(n) {
  if (n < 10000) return String(n);
  const units = ["", "k", "M", "G", "T"];
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  return (n / 1000 ** power).toPrecision(3) + " " + units[power];
}

function bytes(n) {
  return count(n) + (n < 10000 ? " B" : "B");
}

function plural(n, word) {
  return count(n) + " " + word + (n === 1 ? "" : "s");
}

function clockTime(seconds, withDate) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZone: "UTC" };
  if (withDate) Object.assign(options, { year: "numeric", month: "short", day: "numeric" });
  return new Date(seconds * 1000).toLocaleString("en-GB", options);
}

function timeOf(seconds) {
  const time = h("time.soft.small.number", clockTime(seconds, true));
  time.dateTime = new Date(seconds * 1000).toISOString();
  return time;
}

function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return seconds + " s ago";
  if (seconds < 7200) return Math.round(seconds / 60) + " min ago";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h ago" : Math.round(seconds / 86400) + " d ago";
}

class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Calls the API; a problem carries the server's own words. */
async function call(method, path, body) {
  const options = { method, credentials: "same-origin" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, "The aggregator does not answer");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { message, detail } = answer.error ?? {};
  throw new Problem(response.status, (message ?? "Error " + response.status) + (detail ? ": " + detail : ""));
}

function get(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const text = new URLSearchParams(given).toString();
  return call("GET", "api/v1" + path + (text ? "?" + text : ""));
}
`;
