/** Password guessing and DNS tunnels: found where they are, not where programs are merely busy. @module */

import { assert, assertEquals } from "@std/assert";
import { dnsTunnel } from "../../../aggregator/detect/detectors/dns_tunnel.ts";
import { passwordGuessing } from "../../../aggregator/detect/detectors/password_guessing.ts";
import type { LoginFact } from "../../../shared/facts.ts";
import { Capture } from "../../../deploy/demo/packets.ts";
import { baseS, evidenceValue, lookUp, run, severity, times, unansweredDatagram, update } from "./updates.ts";

const sshTry = {
  dst_ip: "10.0.0.22",
  dst_port: 22,
  app_protocol: "ssh",
  fwd_payload_bytes: 1_900,
  bwd_payload_bytes: 2_300,
};

Deno.test("password guessing against SSH is found by the shape of its sessions, on any port", () => {
  assertEquals(run(passwordGuessing, times(19, (i) => update(i, sshTry))), []);
  for (const port of [22, 902]) {
    const tries = times(
      60,
      (i) => update(i * 0.5, { ...sshTry, dst_port: port, bwd_payload_bytes: 2_300 + i % 7 }),
    );
    const [finding] = run(passwordGuessing, tries);
    assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port], [["10.0.0.5"], ["10.0.0.22"], port]);
    assertEquals([finding.technique, finding.count], ["T1110.001", 60]);
  }
});

Deno.test("password guessing that ends in a longer session says that a guess may have been right", () => {
  const tries = times(60, (i) => update(i, sshTry));
  const session = update(61, { ...sshTry, fwd_payload_bytes: 30_000, bwd_payload_bytes: 90_000 });
  const [finding] = run(passwordGuessing, [...tries, session]);
  assert(finding.reasons.some((reason) => reason.name === "possible_success"));
  assertEquals(severity(finding), "high");
});

Deno.test("password guessing is neither a few typos nor a script that logs in all day", () => {
  const typos = times(5, (i) => update(i * 5, sshTry));
  const work = times(
    300,
    (i) => update(100 + i, { ...sshTry, fwd_payload_bytes: 20_000, bwd_payload_bytes: 40_000 }),
  );
  const poll = times(100, (i) => update(1_000 + i * 60, { ...sshTry, src_ip: "10.0.0.77" }));
  assertEquals(run(passwordGuessing, [...typos, ...work, ...poll]), []);
});

const login = (
  outcome: LoginFact["outcome"],
  count = 1,
  service: LoginFact["service"] = "ssh",
  user?: string,
) => ({
  ...sshTry,
  src_ip: "203.0.113.9",
  facts: { logins: [{ service, outcome, count, ...user !== undefined && { user } }] },
});

Deno.test("a few SSH sessions with several refused guesses each are found from 20 guesses on", () => {
  const found = (lasts: number) =>
    run(passwordGuessing, [
      ...times(3, (i) => update(i, login("refused", 6))),
      update(3, login("refused", lasts)),
    ])
      .map((finding) => [finding.count, severity(finding)]);
  assertEquals([found(2), found(1)], [[[20, "high"]], []]);
  const single = (count: number) =>
    run(passwordGuessing, times(count, (i) => update(i, login("challenged"))));
  assertEquals([single(20).length, single(19).length], [1, 0], "one guess a session");
});

Deno.test("whoever gets in by SSH does not guess, however short and alike the sessions are", () => {
  const work = times(300, (i) => update(i * 0.5, login("accepted")));
  assertEquals(run(passwordGuessing, work), []);
  const typos = (count: number) => [...work.slice(0, 6), ...times(count, (i) => update(i, login("refused")))];
  assertEquals([run(passwordGuessing, typos(24)).length, run(passwordGuessing, typos(23)).length], [1, 0]);
});

Deno.test("guesses at mail, databases, VNC and telnet are counted by what their servers say", () => {
  for (
    const service of [
      "imap",
      "pop3",
      "smtp",
      "mysql",
      "postgresql",
      "mssql",
      "redis",
      "vnc",
      "telnet",
    ] as const
  ) {
    const tries = (last: number) => [
      update(0, login("refused", 10, service, "root")),
      update(1, login("refused", last, service, "root")),
    ];
    assertEquals(run(passwordGuessing, tries(10)).map(severity), ["high"], service);
    assertEquals(run(passwordGuessing, tries(9)), [], service);
  }
  assertEquals(
    run(passwordGuessing, [update(0, login("refused", 50, "sip"))]),
    [],
    "SIP asks everybody for a proof",
  );
});

Deno.test("20 SNMP communities without an answer are guesses; one that is asked for again, and one for each VLAN, are none", () => {
  const snmp = (communities: readonly string[], atS = 0, outcome: LoginFact["outcome"] = "asked") =>
    update(atS, {
      ...unansweredDatagram,
      dst_port: 161,
      facts: { logins: communities.map((user) => ({ service: "snmp", user, outcome })) },
    });
  const words = (count: number, more = "") => times(count, (i) => `word${i}${more}`);
  const [finding] = run(passwordGuessing, [snmp(words(20))]);
  assertEquals([finding.title, finding.count, severity(finding)], [
    "Password guessing against SNMP",
    20,
    "medium",
  ]);
  assertEquals(run(passwordGuessing, [snmp(words(19))]), []);
  assertEquals(
    run(passwordGuessing, times(100, (i) => snmp(words(1), i))),
    [],
    "a poller of a host that is off",
  );
  assertEquals(run(passwordGuessing, [snmp(times(40, (i) => `public@${i}`))]), []);
  assertEquals(run(passwordGuessing, [snmp(words(20)), snmp(words(6), 1, "accepted")]), []);
});

Deno.test("an own host's program with a wrong saved password is low at 12 tries a minute, on one account", () => {
  const tries = (everyS: number, change: { src_ip?: string } = {}, users = 1) =>
    run(
      passwordGuessing,
      times(60, (i) =>
        update(i * everyS, {
          ...login("refused", 1, "mysql", `app${i % users}`),
          src_ip: "10.0.0.5",
          end: baseS + i * everyS,
          ...change,
        })),
    ).map(severity);
  // 60 tries within 59 pauses.
  assertEquals([tries(5.1), tries(5)], [["low"], ["medium"]]);
  assertEquals([tries(5.1, { src_ip: "203.0.113.9" }), tries(5.1, {}, 2)], [["medium"], ["medium"]]);
});

Deno.test("password guessing against FTP is read from the replies, many in one session", () => {
  const entries = times(10, (i) => [
    { command: "USER", argument: "admin", reply: 331 },
    { command: "PASS", argument: `guess${i}`, reply: 530 },
  ]).flat();
  const tries = times(
    5,
    (i) => update(i * 3, { dst_port: 21, app_protocol: "ftp", facts: { ftp: entries } }),
  );
  const [finding] = run(passwordGuessing, tries);
  assertEquals([finding.count, evidenceValue(finding, "user names tried")], [50, "admin"]);
  assert(!JSON.stringify(finding).includes("guess1"), "passwords tried are nobody's business");
});

Deno.test("password guessing is not an FTP client that is let in each time", () => {
  const entries = [{ command: "USER", argument: "a", reply: 331 }, {
    command: "PASS",
    argument: "b",
    reply: 230,
  }];
  const visits = times(100, (i) => update(i, { dst_port: 21, app_protocol: "ftp", facts: { ftp: entries } }));
  assertEquals(run(passwordGuessing, visits), []);
});

Deno.test("password guessing against SMB and web logins is read from the answers", () => {
  const smb = times(
    30,
    (i) => update(i, { dst_port: 445, facts: { smb: [{ account: "bob", status: "STATUS_LOGON_FAILURE" }] } }),
  );
  const web = times(
    30,
    (i) =>
      update(i, {
        dst_port: 80,
        facts: { http: [{ method: "POST", uri: "/wp-login.php" }, { status: 200 }] },
      }),
  );
  assertEquals(run(passwordGuessing, smb).map((finding) => finding.count), [30]);
  assertEquals(run(passwordGuessing, web).map((finding) => finding.count), [30]);
});

Deno.test("password guessing is not a site that asks once and then lets in", () => {
  const web = times(
    100,
    (i) =>
      update(i, {
        dst_port: 80,
        facts: {
          http: [{ method: "GET", uri: "/" }, { status: 401 }, { method: "GET", uri: "/" }, { status: 200 }],
        },
      }),
  );
  assertEquals(run(passwordGuessing, web), []);
});

Deno.test("password guessing is not a load test of an unknown service", () => {
  const echo = times(
    500,
    (i) =>
      update(i * 0.01, {
        dst_port: 9_000,
        fwd_packets: 80,
        bwd_packets: 80,
        fwd_payload_bytes: 200 * (1 + i % 9),
        bwd_payload_bytes: 200 * (1 + i % 9),
      }),
  );
  assertEquals(run(passwordGuessing, echo), []);
});

/** Hexadecimal digits, the same for the same seed. */
function digits(seed: number, length: number): string {
  const random = new Capture(seed);
  return times(length, () => random.between(0, 16).toString(16)).join("");
}

Deno.test("DNS tunnel in long names is found, with client and resolver", () => {
  const updates = times(60, (i) => lookUp(i, `${digits(i, 50)}.t.example.org`, "TXT"));
  const [finding] = run(dnsTunnel, updates);
  assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port], [["10.0.0.5"], ["10.0.0.2"], 53]);
  assertEquals([evidenceValue(finding, "domain"), finding.count], ["example.org", 60]);
});

Deno.test("DNS tunnel in one long flow is found from the first facts of it", () => {
  const names = times(32, (i) => `${digits(i, 12)}.www.tunnel.example`);
  const dns = names.map((name) => ({ name, type: "KEY", rcode: "NOERROR" }));
  const [finding] = run(dnsTunnel, [lookUp(0, "", "KEY", { facts: { dns, cut: 5_932 } })]);
  assertEquals([finding.count, severity(finding)], [32, "medium"]);
});

Deno.test("DNS tunnel is told its share of a flow, by the messages of each question", () => {
  const names = times(30, (i) => `${digits(i, 50)}.t.example.org`);
  const dns = [
    ...names.map((name) => ({ name, type: "TXT", rcode: "NOERROR", answers: ["abcd"] })),
    ...times(20, (i) => ({ name: `www${i}.example.net`, type: "A" })),
  ];
  const octets = { fwd_payload_bytes: 5_000, bwd_payload_bytes: 3_000 };
  const [finding] = run(dnsTunnel, [lookUp(0, "", "", { ...octets, facts: { dns } })]);
  assertEquals(evidenceValue(finding, "octets in questions and answers"), 6_000);
  assertEquals(evidenceValue(finding, "characters answered"), 120);
});

Deno.test("DNS tunnel seen from the resolver's answers alone is found", () => {
  const updates = times(60, (i) => {
    const name = `${digits(i, 60)}.example.org`;
    const dns = [{ name, type: "NULL", rcode: "NOERROR", unasked: true } as const];
    return lookUp(i, "", "", {
      src_ip: "10.0.0.2",
      src_port: 53,
      dst_ip: "10.0.0.5",
      dst_port: 40_000,
      facts: { dns },
    });
  });
  const [finding] = run(dnsTunnel, updates);
  assertEquals([finding.src_ips, finding.dst_ips], [["10.0.0.5"], ["10.0.0.2"]]);
});

Deno.test("DNS tunnel to a server of its own, without a registered domain, is found by its tag", () => {
  const updates = times(40, (i) => lookUp(i, `dnscat.${digits(i, 18)}`, ["TXT", "CNAME", "MX"][i % 3]));
  const [finding] = run(dnsTunnel, updates);
  assertEquals([evidenceValue(finding, "domain"), finding.count], ["dnscat", 40]);
});

Deno.test("DNS tunnel that hides below an honest zone is found when it carries much", () => {
  const updates = times(1_500, (i) => lookUp(i * 0.1, `${digits(i, 60)}.mcafee.com`, "TXT"));
  assertEquals(run(dnsTunnel, updates).length, 1);
});

const harmless: Record<string, (i: number) => [name: string, type: string]> = {
  "a content network with many short names": (i) => [`img${i}.cdn.example.com`, "A"],
  "reverse lookups": (i) => [`${i}.2.0.192.in-addr.arpa`, "PTR"],
  "reverse lookups of IPv6": (i) => [`${digits(i, 32).split("").join(".")}.ip6.arpa`, "PTR"],
  "a block list": (i) => [`${i}.113.0.203.zen.blocklist.example`, "TXT"],
  "a virus scanner": (i) => [`${digits(i, 40)}.avqs.mcafee.com`, "A"],
  "the same long name again and again": () => [`${digits(1, 60)}.example.com`, "TXT"],
  "a few dozen long names again and again": (i) => [`${digits(i % 30, 60)}.example.com`, "TXT"],
  "service discovery": (i) => [`_ldap._tcp.site${i}._sites.corp.example`, "SRV"],
  "ordinary mail domains": (i) => [`mail${i}.example.net`, "MX"],
  "local names": (i) => [`printer-${digits(i, 40)}.local`, "TXT"],
};

for (const [what, make] of Object.entries(harmless)) {
  Deno.test(`DNS tunnel is not ${what}`, () => {
    assertEquals(run(dnsTunnel, times(300, (i) => lookUp(i, ...make(i)))), []);
  });
}

Deno.test("DNS tunnel needs more names than its threshold", () => {
  const updates = times(
    19,
    (i) => lookUp(i, `${digits(i, 60)}.example.org`, "TXT"),
  );
  assertEquals(run(dnsTunnel, updates), []);
});

Deno.test("password guessing is not a computer whose own account is refused, nor one that names no account", () => {
  const tries = (account: string) =>
    run(
      passwordGuessing,
      times(40, (i) =>
        update(i, {
          dst_ip: "10.0.0.9",
          dst_port: 445,
          app_protocol: "smb",
          facts: {
            smb: [{ command: "session_setup", account }, {
              command: "session_setup",
              status: "STATUS_LOGON_FAILURE",
            }],
          },
        })),
    ).length;
  assertEquals([tries("alice"), tries("PC7$"), tries("NULL")], [1, 0, 0]);
});
