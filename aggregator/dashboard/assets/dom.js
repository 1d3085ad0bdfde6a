/** Elements, numbers and times of the dashboard.
 *
 * Invariant: text reaches the page through `textContent` only, with control, zero-width and direction characters made visible; there
 * is no way in these files to turn a string into markup. @module */

const hostile = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Wire strings, inert and visible. */
export function inert(text                 )         {
  return String(text).replace(hostile, (c) => c === "\n" ? c : "\\u{" + c.codePointAt(0) .toString(16) + "}");
}

/** h("p.soft.small", "text", child, ...): an element with classes and children. */
export function h                                         (
  selector                          ,
  ...children
)                             {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag       );
  if (classes.length > 0) element.className = classes.join(" ");
  append(element, children);
  return element;
}

export function append(element         , children                    )       {
  for (const child of children) {
    if (child === null || child === undefined) continue;
    element.append(child instanceof Node ? child : document.createTextNode(inert(child)));
  }
}

/** An element of a drawing. */
export function s(
  tag        ,
  attributes                                 ,
  ...children
)             {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag)              ;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  append(element, children);
  return element;
}

/** An element that the page has. */
export function byId                                        (id        )       {
  return document.getElementById(id)        ;
}

export function fill(id        , ...children                 )       {
  byId(id).replaceChildren(...children.filter((child) => child !== null));
}

export function wire(text                 )              {
  return h("span.mono.wire", text);
}

/** A cell that carries its column's name, which a phone shows beside it. */
export function cell(label        , content         , classes = "")                       {
  const td = h(classes ? `td.${classes}` : "td", content);
  td.dataset.label = label;
  return td;
}

export function table(
  columns                                                         ,
  rows                 ,
  caption        ,
)              {
  const head = h("tr");
  for (const [label, classes] of columns) {
    const th = h(classes ? `th.${classes}` : "th", label);
    th.scope = "col";
    head.append(th);
  }
  return h("div.table", h("table", h("caption.unseen", caption), h("thead", head), h("tbody", ...rows)));
}

export function badge(word        , tone        )              {
  return h(`span.badge.tone-${tone}`, word);
}

/** 12345 -> "12.3 k". */
export function count(n        )         {
  if (n < 10000) return String(n);
  const units = ["", "k", "M", "G", "T"];
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  return (n / 1000 ** power).toPrecision(3) + " " + units[power];
}

export function bytes(n        )         {
  return count(n) + (n < 10000 ? " B" : "B");
}

export function plural(n        , word        )         {
  return count(n) + " " + word + (n === 1 ? "" : "s");
}

export function clockTime(seconds        , withDate         )         {
  const options                             = {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hour12: false,
    timeZone: "UTC",
  };
  if (withDate) Object.assign(options, { year: "numeric", month: "short", day: "numeric" });
  return new Date(seconds * 1000).toLocaleString("en-GB", options);
}

export function timeOf(seconds        )                  {
  const time = h("time.soft.small.number", clockTime(seconds, true));
  time.dateTime = new Date(seconds * 1000).toISOString();
  return time;
}

export function ago(ms        )         {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return seconds + " s ago";
  if (seconds < 7200) return Math.round(seconds / 60) + " min ago";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h ago" : Math.round(seconds / 86400) + " d ago";
}
