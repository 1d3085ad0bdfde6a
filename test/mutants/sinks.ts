/** What tells others: sinks. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const sender = "aggregator/sinks/sender.ts";
const email = "aggregator/sinks/email.ts";
const webhook = "aggregator/sinks/webhook.ts";

export const sinkMutants: readonly Mutant[] = mutantsOf(["test/aggregator/sinks/sender_test.ts"], [
  [
    "sinks: what the receiver refuses stops the queue",
    sender,
    "return error instanceof Refused ? null : reason;",
    "return reason;",
  ],
  [
    "sinks: what was taken is sent again",
    sender,
    "    await store.forgetMessage(sink, id);\n",
    "",
  ],
  [
    "sinks: a message is given up an hour early",
    sender,
    "export const giveUpMs = 72 *",
    "export const giveUpMs = 71 *",
  ],
  [
    "sinks: a webhook follows a redirect",
    webhook,
    'redirect: "manual"',
    'redirect: "follow"',
    ["test/aggregator/sinks/webhook_test.ts"],
  ],
  [
    "sinks: mail goes out in clear",
    email,
    'requireTLS: security === "starttls"',
    "requireTLS: false",
    ["test/aggregator/sinks/email_test.ts"],
  ],
  [
    "sinks: any certificate will do for mail",
    email,
    "rejectUnauthorized: true",
    "rejectUnauthorized: false",
    ["test/aggregator/sinks/email_test.ts"],
  ],
  [
    "sinks: mark-up of the wire is Slack's",
    "aggregator/sinks/words.ts",
    '.replaceAll("<", "&lt;")',
    "",
    ["test/aggregator/sinks/formats_test.ts"],
  ],
]);
