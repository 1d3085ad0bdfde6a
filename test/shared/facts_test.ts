/** DNS facts as messages: every query and response can be read back from the entries. @module */

import { assertEquals } from "@std/assert";
import { type DnsFact, dnsMessages } from "../../shared/facts.ts";

Deno.test("dnsMessages() gives each query and each response as an entry of its own", () => {
  const question = { name: "a.example", type: "A" };
  const entries: DnsFact[] = [
    { ...question, rcode: "NOERROR", answers: ["192.0.2.1"] },
    { ...question, rcode: "NXDOMAIN" },
    question,
    { ...question, answers: ["known.example"] },
    { name: "", type: "", rcode: "NOERROR", answers: ["192.0.2.2"], unasked: true },
  ];
  assertEquals(dnsMessages(entries), [
    question,
    { ...question, rcode: "NOERROR", answers: ["192.0.2.1"], unasked: true },
    question,
    { ...question, rcode: "NXDOMAIN", unasked: true },
    question,
    { ...question, answers: ["known.example"] },
    { name: "", type: "", rcode: "NOERROR", answers: ["192.0.2.2"], unasked: true },
  ]);
  assertEquals(dnsMessages(dnsMessages(entries)), dnsMessages(entries), "they stand alone");
});
