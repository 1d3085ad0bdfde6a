/** A signed webhook.
 *
 * Out: POST with `x-picket-timestamp` (epoch seconds), `x-picket-id` (the same for each try) and, with a secret,
 * `x-picket-signature: sha256=HEX`, the HMAC-SHA256 of `timestamp.body`. Invariant: redirects are not followed; an
 * address that is private, loopback or link-local is refused unless the settings allow it, whatever name resolves to
 * it: the name is looked up before each try. @module */

import { createHmac } from "node:crypto";
import { lookup } from "node:dns/promises";
import { parseIp } from "../../shared/ip.ts";
import type { Clock } from "../../shared/clock.ts";
import type { SinkMessage } from "../model/message.ts";
import { inertMessage, objectOf } from "./formats.ts";
import { type Receiver, Refused } from "./sender.ts";
import type { SettingsOf } from "./settings.ts";
import { escapeMarkdown, escapeSlack, facts, headline, plainText } from "./words.ts";
import { escapeLine } from "../../shared/escape.ts";

type Template = SettingsOf<"webhook">["template"];
const answerOctetsMax = 64 * 1024;
/** What a second try cannot change. */
const finalStatuses = [400, 413, 415, 422];

export function webhook(
  { url, secret, template, mayBePrivate }: {
    url: string;
    secret: string | null;
    template: Template;
    mayBePrivate: boolean;
  },
  { clock, resolve = resolveName }: { clock: Clock; resolve?: (host: string) => Promise<string[]> },
): Receiver {
  return {
    async send(message, signal) {
      const target = new URL(url);
      if (!mayBePrivate) await refusePrivate(target.hostname.replace(/^\[|\]$/g, ""), resolve);
      const { body, type, headers } = webhookBody(message, template);
      const timestamp = `${Math.floor(clock.nowMs() / 1_000)}`;
      const response = await fetch(target, {
        method: "POST",
        body,
        redirect: "manual",
        signal,
        headers: {
          ...headers,
          "content-type": type,
          "x-picket-id": message.id,
          "x-picket-timestamp": timestamp,
          ...secret === null ? {} : { "x-picket-signature": `sha256=${signature(secret, timestamp, body)}` },
        },
      }).catch((cause) => {
        throw new Error(withoutUrl((cause as Error).message));
      });
      await drain(response);
      const { status } = response;
      if (status >= 200 && status < 300) return;
      const words = `the receiver answered ${status}${status >= 300 && status < 400 ? ", a redirect" : ""}`;
      throw finalStatuses.includes(status) ? new Refused(words) : new Error(words);
    },
  };
}

export function signature(secret: string, timestamp: string, body: string): string {
  return createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex");
}

export function webhookBody(
  message: SinkMessage,
  template: Template,
): { body: string; type: string; headers: Record<string, string> } {
  const json = (value: unknown) => ({ body: JSON.stringify(value), type: "application/json", headers: {} });
  switch (template) {
    case "json":
      return json(inertMessage(message));
    case "eve":
    case "ecs":
    case "ocsf":
      return json(objectOf(message, template));
    case "slack": {
      const text = escapeSlack(plainText(message));
      return json({
        text,
        mrkdwn: false,
        blocks: [{ type: "section", text: { type: "plain_text", text: text.slice(0, 2_900), emoji: false } }],
      });
    }
    case "teams":
      return json(teamsCard(message));
    case "discord":
      return json({
        allowed_mentions: { parse: [] },
        embeds: [{
          title: escapeMarkdown(headline(message)).slice(0, 256),
          description: escapeMarkdown(escapeLine(message.summary)).slice(0, 2_000),
          fields: facts(message).map(([name, value]) => ({
            name,
            value: escapeMarkdown(value).slice(0, 1_000),
            inline: true,
          })),
        }],
      });
    case "ntfy":
      return {
        body: plainText(message),
        type: "text/plain; charset=utf-8",
        headers: {
          title: ascii(headline(message)),
          priority: { info: "2", low: "2", medium: "3", high: "4", critical: "5" }[message.severity],
          tags: "rotating_light",
        },
      };
  }
}

/** An Adaptive Card, as Teams' workflows take it. */
function teamsCard(message: SinkMessage): unknown {
  const block = (text: string, more = {}) => ({
    type: "TextBlock",
    text: escapeMarkdown(text),
    wrap: true,
    ...more,
  });
  return {
    type: "message",
    attachments: [{
      contentType: "application/vnd.microsoft.card.adaptive",
      content: {
        $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
        type: "AdaptiveCard",
        version: "1.4",
        body: [
          block(headline(message), { weight: "Bolder", size: "Medium" }),
          block(escapeLine(message.summary)),
          {
            type: "FactSet",
            facts: facts(message).map(([title, value]) => ({ title, value: escapeMarkdown(value) })),
          },
        ],
      },
    }],
  };
}

async function refusePrivate(host: string, resolve: (host: string) => Promise<string[]>): Promise<void> {
  const addresses = parseIp(host) ? [host] : await resolve(host);
  if (addresses.length === 0 || addresses.some(isPrivate)) {
    // Not final: the operator may allow it, or the name may lead elsewhere later.
    throw new Error(`Cannot send as ${host} must have public addresses only, or "private" must be true`);
  }
}

async function resolveName(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Everything that is not globally reachable unicast. */
export function isPrivate(address: string): boolean {
  const bytes = parseIp(address);
  if (!bytes) return true;
  if (bytes.length === 4) {
    const [a, b, c] = bytes;
    return a === 0 || a === 10 || a === 127 || a >= 224 || (a === 100 && b >= 64 && b < 128) ||
      (a === 169 && b === 254) || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) ||
      (a === 192 && b === 0 && c === 0) || (a === 198 && (b === 18 || b === 19));
  }
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return isPrivate(bytes.slice(12).join("."));
  // Only 2000::/3 is global; of it 6to4 and Teredo hold IPv4 addresses and lead who knows where.
  return (bytes[0] & 0xe0) !== 0x20 || (bytes[0] === 0x20 && bytes[1] === 0x02) ||
    (bytes[0] === 0x20 && bytes[1] === 0x01 && bytes[2] === 0 && bytes[3] === 0);
}

/** The address can be a secret, and the client's errors hold it. */
function withoutUrl(text: string): string {
  return escapeLine(text).replace(/\b(?:for url )?\(?https?:\/\/[^\s)]*\)?:?/g, "").replace(/\s+/g, " ")
    .slice(0, 300);
}

function ascii(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
}

async function drain(response: Response): Promise<void> {
  let octets = 0;
  for await (const piece of response.body ?? []) {
    octets += piece.length;
    if (octets > answerOctetsMax) break;
  }
}
