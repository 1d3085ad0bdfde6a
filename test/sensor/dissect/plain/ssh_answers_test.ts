/** Outcomes of SSH log-ins from the lengths of the server's answers, as OpenSSH gives them with the ciphers and
 * checksums in use. @module */

import { assertEquals } from "@std/assert";
import { SshAnswers } from "../../../../sensor/dissect/plain/ssh_answers.ts";
import type { Facts } from "../../../../shared/facts.ts";

const keyExchange = [1_136, 524];

function outcomes(lengths: readonly number[], cutAt = -1): string {
  const answers = new SshAnswers(), facts: Facts = {};
  [...keyExchange, ...lengths].forEach((length, i) => answers.read(7, length, i === cutAt, facts));
  return (facts.logins ?? []).map(({ service, outcome, count = 1 }) => `${count} ${service} ${outcome}`)
    .join();
}

Deno.test("each failure after the first is a refused guess, whatever cipher and checksum", () => {
  assertEquals(outcomes([44, 76, 76]), "1 ssh refused");
  assertEquals(outcomes([44, 76, 76, 76, 76, 76, 76, 76]), "6 ssh refused", "OpenSSH allows six");
  for (const accept of [40, 44, 48, 52, 56, 64, 68, 96, 100]) {
    assertEquals(outcomes([accept, accept + 32, accept + 32, accept + 32]), "2 ssh refused", `${accept}`);
  }
  assertEquals(outcomes([44, 44, 44, 44]), "2 ssh refused", "keys only: a failure as long as the acceptance");
});

Deno.test("a notice, questions for a password, and a farewell are no guesses", () => {
  assertEquals(outcomes([44, 300, 76, 76, 76]), "2 ssh refused");
  assertEquals(outcomes([44, 76, 60, 76, 60, 76, 92]), "2 ssh refused");
});

Deno.test("whoever gets in was refused nothing, with keys that did not fit before or a notice", () => {
  assertEquals(outcomes([44, 28]), "1 ssh accepted");
  assertEquals(outcomes([44, 76, 76, 76, 396, 28, 620, 76, 76]), "1 ssh accepted");
  assertEquals(outcomes([40, 40, 72, 536, 72, 224, 24]), "1 ssh accepted", "in pieces");
  assertEquals(outcomes([52, 84, 84, 36]), "1 ssh accepted", "AES-GCM");
  assertEquals(outcomes([68, 100, 52, 100]), "1 ssh accepted", "AES-CTR with a checksum over the cipher");
});

Deno.test("one answer that is no yes is a challenge; more lengths than servers say end the counting", () => {
  assertEquals(outcomes([44, 76]), "1 ssh challenged");
  assertEquals(outcomes([44, 76, 60]), "", "asked for a password");
  assertEquals(outcomes([44, 76, 77, 78, 79, 76]), "1 ssh refused");
  assertEquals(outcomes([44, 76, 77, 78, 79, 80, 76]), "", "a session whose beginning was missed");
  assertEquals(outcomes([45, 76, 76]), "", "no acceptance that we know");
  assertEquals(outcomes([44, 76, 76, 76], 4), "1 ssh challenged", "the capture cut it");
});

Deno.test("sessions do not mix, other log-ins stay, and 4096 sessions are known at a time", () => {
  const answers = new SshAnswers(), facts: Facts = { logins: [{ service: "redis", outcome: "refused" }] };
  for (const length of [44, 76, 76]) answers.read(1, length, false, facts);
  answers.read(1, 28, false, facts);
  assertEquals(facts.logins, [
    { service: "redis", outcome: "refused" },
    { service: "ssh", outcome: "accepted" },
  ]);
  const more = (others: number) => {
    const answers = new SshAnswers(), facts: Facts = {};
    answers.read(0, 44, false, facts);
    for (let flow = 1; flow <= others; flow++) answers.read(flow, 44, false, {});
    answers.read(0, 28, false, facts);
    return facts.logins?.length ?? 0;
  };
  assertEquals([more(4_095), more(4_096)], [1, 0]);
});
