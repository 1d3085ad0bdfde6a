/** E-mail against a small real SMTP server: TLS or nothing, and hostile strings stay text. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { once } from "node:events";
import { email } from "../../../aggregator/sinks/email.ts";
import { blankMessage } from "../../../aggregator/sinks/message.ts";
import { type MakeReport, reportMessage, type ReportRange } from "../../../aggregator/sinks/reports.ts";
import { Refused } from "../../../aggregator/sinks/sender.ts";
import { testCertificate } from "./certificate.ts";

interface Heard {
  lines: string[];
  mails: string[];
  /** Of the last mail, whether it came over TLS. */
  isSecret: boolean;
}

const certificate = testCertificate();

/** Speaks just enough SMTP. `starttls`: offer it; `answer`: to the end of the data. */
async function withSmtp(
  { tls = false, starttls = false, answer = "250 taken" },
  work: (port: number, heard: Heard) => Promise<void>,
): Promise<void> {
  const { cert, key } = certificate;
  const heard: Heard = { lines: [], mails: [], isSecret: false };
  const sockets = new Set<Socket>();
  const speak = (socket: Socket, isSecret: boolean) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let rest = "", mail: string | null = null;
    const say = (line: string) => socket.write(`${line}\r\n`);
    const hear = (line: string) => {
      if (mail !== null) {
        if (line !== ".") return mail += `${line}\n`;
        heard.mails.push(mail);
        heard.isSecret = isSecret;
        mail = null;
        return say(answer);
      }
      heard.lines.push(line);
      const verb = line.split(" ")[0].toUpperCase();
      if (verb === "EHLO") {
        if (starttls && !isSecret) say("250-STARTTLS");
        return say("250 AUTH PLAIN");
      }
      if (verb === "STARTTLS" && !starttls) return say("502 no");
      if (verb === "STARTTLS") {
        say("220 go");
        socket.removeAllListeners("data");
        return speak(new TLSSocket(socket, { isServer: true, cert, key }), true);
      }
      if (verb === "AUTH") return say("235 fine");
      if (verb === "DATA") {
        mail = "";
        return say("354 go on");
      }
      say(verb === "QUIT" ? "221 bye" : "250 ok");
    };
    socket.on("data", (bytes: Uint8Array) => {
      rest += new TextDecoder().decode(bytes);
      for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        hear(line);
      }
    });
  };
  const greet = (isSecret: boolean) => (socket: Socket) => {
    speak(socket, isSecret);
    socket.write("220 mail.example ESMTP\r\n");
  };
  const server = tls ? createTlsServer({ cert, key }, greet(true)) : createServer(greet(false));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work((server.address() as { port: number }).port, heard);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }
}

const evil = "<script>alert(1)</script>\r\nBcc: x@example.com\u202e";
const message = {
  ...blankMessage("0011223344556677", "test", 1_800_000_000_000),
  severity: "high" as const,
  title: evil,
  summary: evil,
};
const { signal } = new AbortController();
const makeReport = ({ fromS, toS }: ReportRange) => Promise.resolve(`<!doctype html>from ${fromS} to ${toS}`);
const sink = (
  port: number,
  security: "tls" | "starttls",
  ca: string | null = certificate.ca,
  make: MakeReport = makeReport,
) =>
  email({
    host: "127.0.0.1",
    port,
    security,
    user: "picket",
    from: "picket@example.com",
    to: ["a@example.com", "b@example.com"],
  }, { password: "s3cret", ca, makeReport: make });

for (const security of ["tls", "starttls"] as const) {
  Deno.test({
    name: `mail goes out over ${security}, with every recipient, and its strings are text`,
    // The mail library closes its socket after the promise that a test can wait for.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withSmtp({ tls: security === "tls", starttls: security === "starttls" }, async (port, heard) => {
        await sink(port, security).send(message, signal);
        const [mail, ...more] = heard.mails;
        assertEquals([more, heard.isSecret], [[], true]);
        const to = heard.lines.filter((line) => line.startsWith("RCPT"));
        assertEquals(to, ["RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"]);
        const login = heard.lines.find((line) => line.startsWith("AUTH PLAIN"))?.split(" ")[2] ?? "";
        assertEquals(Buffer.from(login, "base64").toString(), "\0picket\0s3cret");
        const head = mail.slice(0, mail.indexOf("\n\n"));
        assert(!/^Bcc:/mi.test(head), head);
        assert(head.includes("Message-ID: <0011223344556677@picket.invalid>"));
        assert(!mail.replace(/=\n/g, "").split("text/html")[1].includes("<script"), mail);
      }),
  });
}

Deno.test({
  name: "a report goes out as a page beside its mail, and one that cannot be made is no mail",
  // The mail library closes its socket after the promise that a test can wait for.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withSmtp({ tls: true }, async (port, heard) => {
      await sink(port, "tls").send(reportMessage("boss", 1_800_000_000_000, 86_400_000), signal);
      const [mail] = heard.mails;
      assert(mail.includes("Subject: Picket: Network report, 2027-01-14 to 2027-01-15"), mail);
      const [, part] = mail.split("filename=report.html");
      const [body] = part.split("\n\n")[1].split("\n--");
      const page = Buffer.from(body, "base64").toString();
      assertEquals(page, "<!doctype html>from 1799913600 to 1800000000");
      const broken = sink(port, "tls", certificate.ca, () => Promise.reject(new Error("the store is away")));
      const late = reportMessage("boss", 1_800_086_400_000, 86_400_000);
      await assertRejects(() => broken.send(late, signal), Error, "the store is away");
      assertEquals(heard.mails.length, 1);
    }),
});

Deno.test({
  name: "a server without STARTTLS, and one with a certificate of a stranger, get no mail and no password",
  // The mail library closes its socket after the promise that a test can wait for.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await withSmtp({}, async (port, heard) => {
      await assertRejects(() => sink(port, "starttls").send(message, signal), Error);
      assertEquals([heard.mails, heard.lines.some((line) => line.startsWith("AUTH"))], [[], false]);
    });
    await withSmtp({ tls: true }, async (port, heard) => {
      await assertRejects(() => sink(port, "tls", null).send(message, signal), Error);
      assertEquals(heard.lines, []);
    });
  },
});

Deno.test({
  name: "a server that cannot be reached is said to be, by name and by address",
  // The mail library closes its socket after the promise that a test can wait for.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    for (
      const [host, words] of [["127.0.0.1", "ECONNREFUSED"], [
        "localhost",
        "cannot be reached|ECONNREFUSED",
      ]] as const
    ) {
      const to = ["a@example.com"], from = "picket@example.com";
      const nowhere = email({ host, port: 1, security: "tls", from, to }, {
        password: null,
        ca: null,
        makeReport,
      });
      const error = await assertRejects(() => nowhere.send(message, signal), Error);
      assert(new RegExp(words).test(error.message), error.message);
    }
  },
});

Deno.test({
  name: "a mail that is refused for good is final, one that is put off is not",
  // The mail library closes its socket after the promise that a test can wait for.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    for (const [answer, isFinal] of [["554 spam", true], ["451 later", false]] as const) {
      await withSmtp({ tls: true, answer }, async (port) => {
        const error = await assertRejects(() => sink(port, "tls").send(message, signal), Error);
        assertEquals(error instanceof Refused, isFinal, answer);
      });
    }
  },
});
