/** Log-ins and how they ended, against what tshark reads of the same octets.
 *
 * In: talks made here. Out: equal users, codes and results; no password anywhere in what is kept. @module */

import { assert, assertEquals } from "@std/assert";
import { forgetProgram } from "./facts_yield.ts";
import { fieldOf, type Line, readTalks, type Talk, text } from "./talks.ts";

const lines = (...said: [">" | "<", string][]): Line[] => said.map(([side, words]) => [side, text(words)]);
const secret = "hunter2hunter2";

Deno.test("mailboxes: POP, IMAP and SMTP", async () => {
  const talks: Talk[] = [
    {
      port: 110,
      lines: lines(
        ["<", "+OK ready\r\n"],
        [">", "USER alice\r\n"],
        ["<", "+OK\r\n"],
        [">", `PASS ${secret}\r\n`],
        ["<", "-ERR no\r\n"],
        [">", "USER alice\r\n"],
        ["<", "+OK\r\n"],
        [">", `PASS ${secret}\r\n`],
        ["<", "-ERR no\r\n"],
        [">", "USER bob\r\n"],
        ["<", "+OK\r\n"],
        [">", `PASS ${secret}\r\n`],
        ["<", "+OK 3 messages\r\n"],
        [">", "STAT\r\n"],
        ["<", "-ERR not this\r\n"],
      ),
    },
    {
      port: 143,
      lines: lines(
        ["<", "* OK ready\r\n"],
        [">", "a1 CAPABILITY\r\n"],
        ["<", "a1 OK done\r\n"],
        [">", `a2 LOGIN alice ${secret}\r\n`],
        ["<", "a2 NO wrong\r\n"],
        [">", `a3 LOGIN "bob smith" "${secret}"\r\n`],
        ["<", "a3 OK in\r\n"],
      ),
    },
    {
      port: 25,
      lines: lines(
        ["<", "220 mail.example.org\r\n"],
        [">", "EHLO me\r\n"],
        ["<", "250 AUTH LOGIN PLAIN\r\n"],
        [">", "AUTH LOGIN\r\n"],
        ["<", "334 VXNlcm5hbWU6\r\n"],
        [">", "YWxpY2U=\r\n"],
        ["<", "334 UGFzc3dvcmQ6\r\n"],
        [">", "c2VjcmV0\r\n"],
        ["<", "535 no\r\n"],
      ),
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    indicators: await fieldOf(file, "pop.response.indicator"),
    statuses: await fieldOf(file, "imap.response.status"),
    codes: await fieldOf(file, "smtp.response.code"),
  }));
  assertEquals(apps, ["pop", "imap", "smtp"]);
  assertEquals(facts[0]?.logins, [
    { service: "pop3", user: "alice", outcome: "refused", count: 2 },
    { service: "pop3", user: "bob", outcome: "accepted" },
  ]);
  assertEquals(facts[1]?.logins, [
    { service: "imap", user: "alice", outcome: "refused" },
    { service: "imap", user: "bob smith", outcome: "accepted" },
  ]);
  assertEquals(facts[2]?.logins, [{ service: "smtp", method: "login", outcome: "refused", code: 535 }]);
  assert(!JSON.stringify(facts).includes(secret));
  assertEquals(answer.indicators.filter((one) => one === "-ERR").length, 3);
  assertEquals(answer.statuses, ["OK", "NO", "OK"]);
  assertEquals(answer.codes, ["220", "250", "334", "334", "535"]);
});

Deno.test("telephones: SIP registers, is challenged, and taken or not", async () => {
  const sip = (first: string, method: string, extra = "") =>
    `${first}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:100@x>;tag=1\r\nTo: <sip:100@x>\r\n` +
    `Call-ID: 1@x\r\nCSeq: 1 ${method}\r\n${extra}Content-Length: 0\r\n\r\n`;
  const proof = `Authorization: Digest username="100", realm="x", nonce="1", uri="sip:x", response="${
    "0".repeat(32)
  }"\r\n`;
  const talks: Talk[] = [{
    port: 5060,
    isUdp: true,
    lines: lines(
      [">", sip("REGISTER sip:x SIP/2.0", "REGISTER", "User-Agent: friendly-scanner\r\n")],
      ["<", sip("SIP/2.0 401 Unauthorized", "REGISTER")],
      [">", sip("REGISTER sip:x SIP/2.0", "REGISTER", proof)],
      ["<", sip("SIP/2.0 403 Forbidden", "REGISTER")],
      [">", sip("OPTIONS sip:x SIP/2.0", "OPTIONS")],
      ["<", sip("SIP/2.0 200 OK", "OPTIONS")],
    ),
  }];
  const { facts, answer } = await readTalks(talks, async (file) => await fieldOf(file, "sip.auth.username"));
  const register = { service: "sip", user: "100", method: "REGISTER" } as const;
  assertEquals(facts[0]?.logins, [
    { ...register, outcome: "named" },
    { ...register, outcome: "challenged", code: 401 },
    { ...register, outcome: "asked" },
    { ...register, outcome: "refused", code: 403 },
  ]);
  assertEquals(facts[0]?.other?.["sip.User-Agent"], "friendly-scanner");
  assertEquals(answer.map((name) => name.replaceAll(/[\\"]/g, "")), ["100"]);
});

const hex = (words: string) => text(words).toHex();

Deno.test("databases: MySQL, PostgreSQL, SQL Server and Redis", async () => {
  const greeting = `4a0000 00 0a ${hex("8.0.36\0")} 0c000000 ${hex("12345678\0")} fff7 08 0200 0f80 15 ${
    "00".repeat(10)
  }
    ${hex("123456789012\0")} ${hex("mysql_native_password\0")}`;
  const request = (user: string) => {
    const body = `85a60f00 00000001 08 ${"00".repeat(23)} ${hex(user + "\0")} 00`.replaceAll(" ", "");
    return `${(body.length / 2).toString(16).padStart(2, "0")}0000 01 ${body}`;
  };
  const denied = `ff 1504 ${hex("#28000Access denied for user")}`;
  const startup = `${hex("user\0alice\0database\0x\0\0")}`;
  const refused = hex("SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0");
  const sized = (body: string, extra: number) =>
    (body.replaceAll(" ", "").length / 2 + extra).toString(16).padStart(8, "0");
  const error = `aa 1800 18480000 01 0e 0500 ${hex("L\0o\0g\0i\0n\0")} 00 00 01000000`;
  const talks: Talk[] = [
    {
      port: 3306,
      lines: [["<", greeting], [">", request("alice")], ["<", `1f0000 02 ${denied}`]],
    },
    { port: 3306, lines: [["<", greeting], [">", request("bob")], ["<", "070000 02 00 00 00 0200 0000"]] },
    {
      port: 5432,
      lines: [
        [">", `${sized(startup, 8)} 00030000 ${startup}`],
        ["<", "52 0000000c 00000005 01020304"],
        [">", `70 00000028 ${hex("md5" + "0".repeat(32) + "\0")}`],
        ["<", `45 ${sized(refused, 4)} ${refused}`],
      ],
    },
    { port: 1433, lines: [["<", `04 01 0030 0033 01 00 ${error} fd 0200 0000 00000000 00000000`]] },
    {
      port: 6379,
      lines: lines(
        [">", `AUTH ${secret}\r\n`],
        ["<", "-WRONGPASS invalid username-password pair\r\n"],
        [">", `*3\r\n$4\r\nAUTH\r\n$5\r\nalice\r\n$14\r\n${secret}\r\n`],
        ["<", "+OK\r\n"],
        [">", "PING\r\n"],
        ["<", "+OK\r\n"],
      ),
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    users: await fieldOf(file, "mysql.user"),
    errors: await fieldOf(file, "mysql.error_code"),
    codes: await fieldOf(file, "pgsql.code"),
    numbers: await fieldOf(file, "tds.error.number"),
  }));
  assertEquals(apps, ["mysql", "mysql", "pgsql", "mssql", "redis"]);
  assertEquals(facts.map((one) => one?.logins), [
    [{ service: "mysql", user: "alice", outcome: "refused", code: 1045 }],
    [{ service: "mysql", user: "bob", outcome: "accepted" }],
    [{ service: "postgresql", user: "alice", method: "md5", outcome: "refused" }],
    [{ service: "mssql", outcome: "refused", code: 18_456 }],
    [{ service: "redis", outcome: "refused" }, { service: "redis", user: "alice", outcome: "accepted" }],
  ]);
  assert(!JSON.stringify(facts).includes(secret));
  assertEquals(answer, { users: ["alice", "bob"], errors: ["1045"], codes: ["28P01"], numbers: ["18456"] });
});

Deno.test("consoles: RDP, VNC and Telnet", async () => {
  const cookie = hex("Cookie: mstshash=alice\r\n");
  const talks: Talk[] = [
    {
      port: 3389,
      lines: [
        [">", `0300 002b 26 e0 0000 0000 00 ${cookie} 01 00 0800 03000000`],
        ["<", "0300 0013 0e d0 0000 1234 00 02 1f 0800 02000000"],
      ],
    },
    {
      port: 5900,
      lines: [
        ["<", hex("RFB 003.008\n")],
        [">", hex("RFB 003.008\n")],
        ["<", "01 02"],
        [">", "02"],
        ["<", "00112233445566778899aabbccddeeff"],
        [">", "ffeeddccbbaa99887766554433221100"],
        ["<", "00000001 00000006" + hex("failed")],
      ],
    },
    {
      port: 23,
      lines: lines(
        ["<", "\xff\xfd\x18"],
        ["<", "Ubuntu 22.04\r\nbox login: "],
        [">", "root\r\n"],
        ["<", "root\r\nPassword: "],
        [">", "x\r\n"],
        ["<", "\r\nLogin incorrect\r\nbox login: "],
        [">", "root\r\n"],
        ["<", "Password: "],
        [">", "y\r\n"],
        ["<", "\r\nLast login: Mon Jan 1\r\nroot@box:~# "],
      ),
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    cookies: await fieldOf(file, "rdp.rt_cookie"),
    results: await fieldOf(file, "vnc.auth_result"),
  }));
  assertEquals(apps, ["rdp", "vnc", "telnet"]);
  assertEquals(facts.map((one) => one?.logins), [
    [{ service: "rdp", user: "alice", outcome: "asked", method: "credssp" }],
    [{ service: "vnc", outcome: "refused" }],
    [{ service: "telnet", outcome: "refused" }, { service: "telnet", outcome: "accepted" }],
  ]);
  assertEquals(answer, { cookies: ["Cookie: mstshash=alice"], results: ["1"] });
});

Deno.test("what the readings shared is removed", forgetProgram);
