/** A message in words, and strings made inert for where they go.
 *
 * Invariant: control, format and bidirectional characters are never sent as they came. Each markup has its own escape:
 * text from the wire stays readable and does nothing. @module */

import { escapeLine } from "../../shared/escape.ts";
import type { SinkMessage } from "../model/message.ts";

/** "High: Vertical port scan". */
export function headline({ kind, severity, title }: SinkMessage): string {
  if (kind === "report") return escapeLine(title);
  const lead = { incident: "", rise: " (more severe now)", digest: "", test: "" }[kind];
  return escapeLine(`${severity[0].toUpperCase()}${severity.slice(1)}${lead}: ${title}`);
}

/** Name and value of what a reader wants to know, empty ones left out. */
export function facts(message: SinkMessage): [name: string, value: string][] {
  const { actors, targets, dst_port, network, sensors, technique, threats, digest, incident } = message;
  const rows: [string, string][] = [
    ["From", listed(actors)],
    ["To", listed(targets) + (dst_port === null || targets.length === 0 ? "" : `, port ${dst_port}`)],
    ["Site", network],
    ["Sensors", listed(sensors)],
    ["Technique", technique],
    ["Threats", threats > 0 ? `${threats}` : ""],
    ["Incident", incident],
    ...(digest?.worst ?? []).map((line): [string, string] => ["Held back", line]),
  ];
  return rows.filter(([, value]) => value !== "").map(([name, value]) => [name, escapeLine(value)]);
}

/** Plain text of several lines. */
export function plainText(message: SinkMessage): string {
  const { summary, action } = message;
  return [
    headline(message),
    escapeLine(summary),
    ...(action === "" ? [] : [`What to do: ${escapeLine(action)}`]),
    ...facts(message).map(([name, value]) => `${name}: ${value}`),
  ].join("\n");
}

/** One line. */
export function oneLine(message: SinkMessage): string {
  return `${headline(message)}. ${escapeLine(message.summary)}`;
}

/** Slack reads `<...>` as a link or a mention, and `*_~` and the grave accent as mark-up: a zero-width word joiner
 * would be hostile, so they are replaced by what looks alike. */
export function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replace(/[*_~`]/g, (character) => ({ "*": "∗", "_": "＿", "~": "∼", "`": "ˋ" })[character]!);
}

/** Markdown of Teams and Discord: every mark is escaped, mentions lose their sign. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}\[\]()#+!|<>~:-]/g, "\\$&").replaceAll("@", "＠");
}

function listed(words: readonly string[]): string {
  const shown = words.slice(0, 5).join(", ");
  return words.length > 5 ? `${shown} and ${words.length - 5} more` : shown;
}
