/** E-mail over SMTP, with STARTTLS or TLS from the first octet.
 *
 * Invariant: nothing is sent in the clear: a server that offers no STARTTLS is a failure; certificates are checked
 * against the system's authorities or the one that is given.
 * The HTML part holds text and no links, no images, no styles from elsewhere. A report is attached as a page.
 * @module */

import nodemailer from "nodemailer";
import type { SinkMessage } from "../model/message.ts";
import { type Receiver, Refused } from "./sender.ts";
import { type MakeReport, rangeOf } from "./reports.ts";
import type { SettingsOf } from "./settings.ts";
import { escapeHtml, escapeLine } from "../../shared/escape.ts";
import { facts, headline, plainText } from "./words.ts";

/** Less than a try may take in all. */
const stepMs = 10_000;

export function email(
  { host, port, security, user, from, to }: Pick<
    SettingsOf<"email">,
    "host" | "port" | "security" | "user" | "from" | "to"
  >,
  { password, ca, makeReport }: { password: string | null; ca: string | null; makeReport: MakeReport },
): Receiver {
  return {
    async send(told, signal) {
      const page = told.kind === "report" ? await makeReport(rangeOf(told)) : null;
      const transport = nodemailer.createTransport({
        host,
        port,
        secure: security === "tls",
        requireTLS: security === "starttls",
        ...user === undefined ? {} : { auth: { user, pass: password ?? "" } },
        tls: { rejectUnauthorized: true, minVersion: "TLSv1.2", ...ca === null ? {} : { ca } },
        connectionTimeout: stepMs,
        greetingTimeout: stepMs,
        socketTimeout: stepMs,
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const close = () => transport.close();
      signal.addEventListener("abort", close, { once: true });
      try {
        await transport.sendMail({
          from,
          to,
          messageId: `<${told.id}@picket.invalid>`,
          subject: `Picket: ${headline(told)}`.slice(0, 200),
          text: plainText(told),
          html: mailHtml(told),
          ...page === null ? {} : {
            attachments: [{
              filename: "report.html",
              content: page,
              contentType: "text/html; charset=utf-8",
            }],
          },
          headers: { "Auto-Submitted": "auto-generated" },
        });
      } catch (cause) {
        const { responseCode, message, code } = cause as Error & { responseCode?: number; code?: string };
        // Of several addresses that cannot be reached the library says nothing but a code.
        const words = message || `the mail server cannot be reached (${code ?? "no reason given"})`;
        // 552 and 554 after the data: this message, for good.
        if (responseCode === 552 || responseCode === 554) throw new Refused(escapeLine(words));
        throw new Error(escapeLine(words), { cause });
      } finally {
        signal.removeEventListener("abort", close);
        transport.close();
      }
    },
  };
}

export function mailHtml(message: SinkMessage): string {
  const rows = facts(message).map(([name, value]) =>
    `<tr><th align="left">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`
  );
  const action = message.action === "" ? "" : `<p>What to do: ${escapeHtml(message.action)}</p>`;
  return `<!doctype html><meta charset="utf-8"><h3>${escapeHtml(headline(message))}</h3><p>${
    escapeHtml(message.summary)
  }</p>${action}<table>${rows.join("")}</table>`;
}
