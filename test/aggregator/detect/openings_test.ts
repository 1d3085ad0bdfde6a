/** Sessions that begin with a shell or a tool, and hosts that answer for the names of others;
 * what honest programs and hosts say is none. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { c2Certificate } from "../../../aggregator/detect/detectors/c2_certificate.ts";
import { c2Session } from "../../../aggregator/detect/detectors/c2_session.ts";
import { namePoisoning } from "../../../aggregator/detect/detectors/name_poisoning.ts";
import type { Facts } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { run, severity, times, update } from "./updates.ts";

const hex = (text: string) =>
  [...new TextEncoder().encode(text)].map((b) => b.toString(16).padStart(2, "0")).join("");
const session = (fwd: string | undefined, bwd: string | undefined, change: Partial<Segment> = {}) =>
  run(c2Session, [
    update(0, {
      dst_port: 4_444,
      facts: { first: { ...fwd !== undefined && { fwd }, ...bwd !== undefined && { bwd } } },
      ...change,
    }),
  ]);

Deno.test("a shell that calls a host outside is high, and whoever is called controls it", () => {
  const [finding] = session(hex("Microsoft Window"), undefined);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [
    ["198.51.100.7"],
    ["10.0.0.5"],
    "high",
  ]);
  assertStringIncludes(finding.words.action, "isolate 10.0.0.5");
  assertStringIncludes(finding.words.action, "block 198.51.100.7 at the firewall");
});

Deno.test("a shell that is called, within the own network as well, is high", () => {
  const [finding] = session(undefined, hex("uid=0(root) gid=0"), { dst_ip: "10.0.0.9" });
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [["10.0.0.5"], ["10.0.0.9"], "high"]);
});

Deno.test("orders to a shell are found, and whoever gives them controls the other", () => {
  for (const order of ["id\n", "whoami\r\n", "echo open 10.0.0.", "cmd /c dir", "ls\n"]) {
    const [reverse] = session(undefined, hex(order));
    assertEquals([reverse.src_ips, reverse.dst_ips], [["198.51.100.7"], ["10.0.0.5"]], order);
    const [bound] = session(hex(order), undefined);
    assertEquals(
      [bound.src_ips, bound.dst_ips, severity(bound)],
      [["10.0.0.5"], ["198.51.100.7"], "high"],
      order,
    );
  }
  const [prompt] = session(hex("start msblast.ex"), hex("\r\nC:\\WINNT\\syste"), { dst_ip: "10.0.0.9" });
  assertEquals([prompt.src_ips, prompt.dst_ips], [["10.0.0.5"], ["10.0.0.9"]]);
  for (const text of ["ideas\n", "identd", "ls", "pwd", "echo ok\n"]) {
    assertEquals([session(hex(text), undefined), session(undefined, hex(text))], [[], []], text);
  }
});

Deno.test("tools and stages name who is controlled; bots' chat is low on its usual port, medium elsewhere", () => {
  assertEquals(session(hex("Gh0st"), undefined)[0].dst_ips, ["10.0.0.5"]);
  assertEquals(session(hex("149\0ll|'|'|"), undefined).map(severity), ["high"]);
  assertEquals(session(hex("144\r\n\r\nping"), undefined).map(severity), ["high"]);
  assertEquals(session(hex('{"architecture":"a'), undefined).map(severity), ["high"]);
  assertEquals(session(undefined, "00d602004d5ae800")[0].dst_ips, ["10.0.0.5"], "a stage for the caller");
  assertEquals(session("00d602004d5ae800", undefined)[0].dst_ips, ["198.51.100.7"], "a stage for the called");
  assertEquals(session(hex("NICK bot-17"), hex(":srv 001")).map(severity), ["medium"]);
  assertEquals(session(hex("NICK bot-17"), undefined, { dst_port: 6_667 }).map(severity), ["low"]);
});

Deno.test("what honest programs begin with is none", () => {
  for (
    const text of [
      "SSH-2.0-OpenSSH_9",
      "220 mail ready",
      "USER anonymous",
      "HELP",
      "\x16\x03\x01\x02",
      "MZ\x90",
      "144\r\nping",
      "12345\r\n\r\n",
      '{"host":"web1","v',
    ]
  ) {
    assertEquals([session(hex(text), undefined), session(undefined, hex(text))], [[], []]);
  }
});

const answers = (atS: number, name: string, change: Partial<Segment> = {}) =>
  update(atS, {
    protocol: "udp",
    src_ip: "10.0.0.9",
    src_port: 51_000,
    dst_ip: "10.0.0.66",
    dst_port: 5_355,
    fwd_packets: 0,
    app_protocol: "llmnr",
    facts: { dns: [{ name, type: "A", rcode: "NOERROR", answers: ["10.0.0.66"], unasked: true }] },
    ...change,
  });

Deno.test("one host that answers for 3 names is name poisoning, for 2 it is not, and wpad alone is enough", () => {
  const [finding] = run(namePoisoning, times(3, (i) => answers(i, `typo${i}`)));
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [
    ["10.0.0.66"],
    ["10.0.0.9"],
    "medium",
  ]);
  assertEquals(run(namePoisoning, times(2, (i) => answers(i, `typo${i}`))), []);
  assertEquals(run(namePoisoning, times(9, (i) => answers(i, "PC66"))), [], "its own name, again and again");
  assertEquals(run(namePoisoning, [answers(0, "wpad")]).map(severity), ["medium"]);
  const turned = times(
    3,
    (i) =>
      answers(i, `typo${i}`, { src_ip: "10.0.0.66", src_port: 5_355, dst_ip: "10.0.0.9", dst_port: 51_000 }),
  );
  assertEquals(run(namePoisoning, turned).map(({ src_ips }) => src_ips), [["10.0.0.66"]]);
});

Deno.test("names that hosts ask for, refuse, or announce by mDNS are no poisoning", () => {
  const asked = times(
    9,
    (i) => answers(i, `typo${i}`, { dst_ip: "224.0.0.252", facts: { dns: [{ name: `t${i}`, type: "A" }] } }),
  );
  const refused = times(
    9,
    (i) => answers(i, "", { facts: { dns: [{ name: `t${i}`, type: "A", rcode: "NXDOMAIN" }] } }),
  );
  const announced = times(9, (i) => answers(i, `service${i}`, { src_port: 5_353, dst_port: 5_353 }));
  assertEquals([run(namePoisoning, asked), run(namePoisoning, refused), run(namePoisoning, announced)], [
    [],
    [],
    [],
  ]);
});

Deno.test("a session by a tool's certificate is high; five with no name, an odd port and their own certificate medium, two signs none", () => {
  const tls = {
    version: "TLS 1.2",
    certificate_subject: "box",
    certificate_issuer: "box",
  };
  const found = (change: Partial<NonNullable<Facts["tls"]>>, segment: Partial<Segment> = {}, count = 5) =>
    run(
      c2Certificate,
      times(count, (i) => update(i, { dst_port: 4_782, facts: { tls: { ...tls, ...change } }, ...segment })),
    ).map(severity);
  assertEquals(found({}, {}, 4), []);
  assertEquals(found({}), ["medium"]);
  assertEquals(found({ certificate_subject: "DcRat", certificate_issuer: "DcRat Server" }, {}, 1), ["high"]);
  assertEquals(found({ certificate_subject: "AsyncRAT Server" }, { dst_port: 443 }, 1), ["high"]);
  assertEquals(found({ certificate_subject: "Covenant", certificate_issuer: "Covenant" }, {}, 1), ["high"]);
  assertEquals(found({ certificate_subject: "Covenant Health", certificate_issuer: "R3" }, {}, 1), []);
  const renamed = { certificate_subject: "SXN Server CA", certificate_issuer: "SXN Server CA" };
  assertEquals(found(renamed, {}, 1), ["high"], "Quasar under another name");
  assertEquals(found(renamed, { dst_port: 443 }, 1), [], "on an ordinary port");
  assertEquals(found({ ...renamed, sni: "nas.example" }, {}, 1), [], "with a name");
  assertEquals(found({ ...renamed, certificate_issuer: "Root CA" }, {}, 1), [], "issued by another");
  const odd = times(2, (i) => update(i, { dst_port: 4_782, facts: { tls } }));
  const tool = update(9, {
    dst_port: 8_808,
    facts: { tls: { ...tls, certificate_subject: "AsyncRAT Server" } },
  });
  assertEquals(run(c2Certificate, [...odd, tool]).map((one) => [severity(one), one.dst_port]), [[
    "high",
    8_808,
  ]]);
  assertEquals(found({ sni: "nas.example" }), []);
  assertEquals(found({}, { dst_port: 8_443 }), []);
  assertEquals(found({ certificate_issuer: "R3" }), []);
  assertEquals(found({}, { dst_ip: "10.0.0.9" }), [], "inside");
  assertEquals(found({ certificate_subject: "syncthing", certificate_issuer: "syncthing" }), []);
});
