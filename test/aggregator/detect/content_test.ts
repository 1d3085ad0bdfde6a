/** Detectors that read what travels: programs over HTTP, orders by DNS, passwords and TLS versions. @module */

import { assertEquals } from "@std/assert";
import { cleartextCredentials } from "../../../aggregator/detect/detectors/cleartext_credentials.ts";
import { dnsC2 } from "../../../aggregator/detect/detectors/dns_c2.ts";
import { executableDownload } from "../../../aggregator/detect/detectors/executable_download.ts";
import { httpC2 } from "../../../aggregator/detect/detectors/http_c2.ts";
import { obsoleteTls } from "../../../aggregator/detect/detectors/obsolete_tls.ts";
import type { Facts, HttpFact, LoginFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { lookUp, run, severity, times, update } from "./updates.ts";

const withFacts = (atS: number, facts: Facts, change: Partial<Segment> = {}) =>
  update(atS, { facts, ...change });

function fetch(uri: string, host: string, content_type: string, user_agent = "Mozilla/5.0", status = 200) {
  const http = [{ method: "GET", uri, host, user_agent }, { status, content_type }];
  return withFacts(0, { http }, { dst_ip: "203.0.113.9", dst_port: 80 });
}

Deno.test("executable download: a bare address is low, with a script's client medium, a false type medium", () => {
  const program = "application/x-msdownload";
  assertEquals(severity(run(executableDownload, [fetch("/a.exe", "203.0.113.9", program)])[0]), "low");
  const [finding] = run(executableDownload, [fetch("/bins/mirai.arm7", "203.0.113.9", "", "Wget/1.2")]);
  assertEquals([severity(finding), finding.src_ips, finding.dst_ips], ["medium", ["10.0.0.5"], [
    "203.0.113.9",
  ]]);
  const posted = fetch("/file/download", "10.0.0.9:8888", "application/octet-stream", "curl/7.68.0");
  Object.assign(posted.segment.facts!.http![0], { method: "POST" });
  Object.assign(posted.segment.facts!.http![1], { magic: "elf" });
  assertEquals(run(executableDownload, [posted]).map(severity), ["medium"], "asked for by a post");
  assertEquals(severity(run(executableDownload, [fetch("/logo.png", "cdn.example", program)])[0]), "medium");
  assertEquals(
    severity(run(executableDownload, [fetch("/x.png?a", "203.0.113.9", program, "")])[0]),
    "critical",
  );
  const http = [{ method: "GET", uri: "/a.exe", user_agent: "Mozilla/5.0" }, {
    status: 200,
    content_type: program,
  }];
  const unnamed = (dst_ip: string) =>
    run(executableDownload, [withFacts(0, { http }, { dst_ip, dst_port: 80 })]);
  assertEquals(["203.0.113.9", "2001:db8::9"].map((ip) => unnamed(ip).map(severity)), [["low"], ["low"]]);
  const [bracketed] = run(executableDownload, [fetch("/a.exe", "[2001:db8::9]:8080", program)]);
  assertEquals(severity(bracketed), "low");
});

Deno.test("executable download is not an update from a named host, a picture, or a page that is not there", () => {
  const ordinary = [
    fetch("/update/setup.exe", "download.vendor.example", "application/octet-stream"),
    fetch("/patch.msi", "download.vendor.example", "application/x-msi"),
    fetch("/logo.png", "203.0.113.9", "image/png"),
    fetch("/a.exe", "203.0.113.9", "text/html", "Mozilla/5.0", 404),
    fetch("/index.html", "203.0.113.9", "text/html"),
  ];
  assertEquals(run(executableDownload, ordinary), []);
});

Deno.test("executable download: what comes is told by its first octets, and a page's address that brings a program is medium", () => {
  const brings = (uri: string, content_type: string, magic: string, host = "www.example") => {
    const http = [{ method: "GET", uri, host, user_agent: "Mozilla/5.0" }, {
      status: 200,
      content_type,
      magic,
    }];
    return run(executableDownload, [withFacts(0, { http }, { dst_ip: "203.0.113.9", dst_port: 80 })]).map(
      severity,
    );
  };
  assertEquals(brings("/load.php?e=3", "application/octet-stream", "exe"), ["medium"]);
  assertEquals(brings("/", "application/x-msdownload", ""), ["medium"]);
  assertEquals(brings("/a.png", "image/png", "exe"), ["medium"]);
  assertEquals(brings("/tables.png", "image/png", "exe", "203.0.113.9"), ["high"]);
  assertEquals(brings("/setup.exe", "application/octet-stream", "exe"), []);
  assertEquals(brings("/files/4711/setup", "application/octet-stream", "exe"), []);
  assertEquals(brings("/load.php?e=3", "application/octet-stream", "zip"), []);
});

function answer(name: string, text: string) {
  return lookUp(0, name, "TXT", {
    facts: { dns: [{ name, type: "TXT", rcode: "NOERROR", answers: [text] }] },
  });
}

Deno.test("orders by DNS: a command or an encoded program in an answer is high", () => {
  const [finding] = run(dnsC2, [answer("a.evil.example", "powershell -nop IEX (New-Object Net.WebClient)")]);
  assertEquals([severity(finding), finding.src_ips], ["high", ["10.0.0.5"]]);
  assertEquals(run(dnsC2, [answer("b.evil.example", `TVqQAAMAAAAEAAAA${"A".repeat(60)}`)]).length, 1);
});

Deno.test("orders by DNS are not policies, keys and tokens", () => {
  const honest = [
    "v=spf1 include:_spf.example.com ip4:192.0.2.0/24 -all",
    `v=DKIM1; k=rsa; p=${"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB".repeat(5)}`,
    "google-site-verification=TVqQabcdefghijklmnopqrstuvwxyz0123456789abcdefgh",
    "v=DMARC1; p=none; rua=mailto:eval@example.com",
    "192.0.2.1 | 64496 | 192.0.2.0/24 | US",
  ];
  assertEquals(run(dnsC2, honest.map((text, i) => answer(`n${i}.example.org`, text))), []);
});

Deno.test("a password in the clear is low, and named by its service; hashes and guests are none", () => {
  const login = (given: LoginFact, port: number) => withFacts(0, { logins: [given] }, { dst_port: port });
  const ftp = (user: string) =>
    withFacts(0, { ftp: [{ command: "USER", argument: user }, { command: "PASS", argument: "" }] }, {
      dst_port: 21,
    });
  const [finding] = run(cleartextCredentials, [ftp("alice")]);
  assertEquals([severity(finding), finding.dst_port, finding.evidence[1].value], ["low", 21, "FTP"]);
  assertEquals(run(cleartextCredentials, [ftp("anonymous")]), []);
  assertEquals(
    run(cleartextCredentials, [
      login({ service: "imap", method: "login", user: "a", outcome: "accepted" }, 143),
    ]).length,
    1,
  );
  const others: LoginFact[] = [
    { service: "imap", method: "cram-md5", user: "a", outcome: "accepted" },
    { service: "pop3", method: "user", user: "a", outcome: "named" },
    { service: "mysql", user: "root", outcome: "accepted" },
    { service: "rdp", method: "credssp", user: "a", outcome: "asked" },
  ];
  assertEquals(run(cleartextCredentials, others.map((one, i) => login(one, 100 + i))), []);
});

Deno.test("obsolete TLS: three agreed connections are low for good, offers and TLS 1.2 are none", () => {
  const speak = (count: number, version: string, change: Partial<Segment> = {}) =>
    times(count, (i) => withFacts(i, { tls: { version } }, { dst_ip: "10.0.0.8", ...change }));
  assertEquals(run(obsoleteTls, speak(2, "TLS 1.0")), []);
  assertEquals(severity(run(obsoleteTls, speak(3, "TLS 1.0"))[0]), "low");
  assertEquals(severity(run(obsoleteTls, speak(3_000, "SSL 3.0"))[0]), "low");
  assertEquals(run(obsoleteTls, speak(50, "TLS 1.2")), []);
  assertEquals(run(obsoleteTls, speak(50, "TLS 1.0", { bwd_payload_bytes: 0 })), []);
});

Deno.test("orders over HTTP: a browser that posts to a bare address at a computed path; with a name, a word or another client it is none", () => {
  const post = (change: Partial<HttpFact>, port = 7_080, dst_ip = "203.0.113.9") =>
    run(httpC2, [
      withFacts(0, {
        http: [{
          method: "POST",
          host: `203.0.113.9:${port}`,
          uri: "/OK21pqJAtyyGBEo00sk",
          user_agent: "Mozilla/4.0 (compatible; MSIE 7.0)",
          ...change,
        }],
      }, { dst_ip, dst_port: port }),
    ]).map(severity);
  assertEquals([post({}), post({}, 80)], [["medium"], ["medium"]]);
  assertEquals(post({ host: "www.example" }), []);
  assertEquals(post({ uri: "/upload/OK21pqJAtyyGBEo00sk" }), []);
  assertEquals(post({ uri: "/api/measurements" }), []);
  assertEquals(post({ user_agent: "meter/1.0" }), []);
  assertEquals(post({ method: "GET" }), []);
  assertEquals(post({}, 7_080, "10.0.0.9"), [], "inside");
});

Deno.test("orders over HTTP: three posts that describe a machine in Base64 are medium, inside too; a token, measurements or plain JSON are none", () => {
  const post = (given: unknown, times_ = 3, change: Partial<HttpFact> = {}) => {
    const body = typeof given === "string" ? given : btoa(JSON.stringify(given)).slice(0, 128);
    const request = {
      method: "POST",
      host: "10.0.0.9:8888",
      uri: "/beacon",
      user_agent: "Go-http-client/1.1",
      body,
    };
    return run(
      httpC2,
      times(
        times_,
        (i) => withFacts(i, { http: [{ ...request, ...change }] }, { dst_ip: "10.0.0.9", dst_port: 8_888 }),
      ),
    ).map(severity);
  };
  const agent = { architecture: "amd64", available_contacts: ["HTTP"], contact: "HTTP" };
  assertEquals([post(agent), post(agent, 2)], [["medium"], []]);
  assertEquals(post({ hostname: "pc-7", username: "alice", pid: 17 }), ["medium"]);
  assertEquals(post({ server: "x", platform: "linux", "os_version": "12" }), ["medium"]);
  assertEquals(post(agent, 3, { host: "agent.example" }), []);
  assertEquals(post(agent, 3, { method: "GET" }), []);
  assertEquals(post({ hostname: "pc-7", temperature: 21 }), [], "one is what a device says of itself");
  assertEquals(post(JSON.stringify(agent)), []);
  assertEquals(post("eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYSJ9"), [], "a token");
  assertEquals(post("eyJ!"), []);
});
