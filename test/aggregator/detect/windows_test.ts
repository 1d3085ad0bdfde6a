/** Attacks on Windows domains by their calls: what attackers' tools send, and what computers of a domain do all day. @module */

import { assertEquals } from "@std/assert";
import { coercion } from "../../../aggregator/detect/detectors/coercion.ts";
import { dcsync } from "../../../aggregator/detect/detectors/dcsync.ts";
import { directoryReconnaissance } from "../../../aggregator/detect/detectors/directory_reconnaissance.ts";
import { exploitAttempt } from "../../../aggregator/detect/detectors/exploit_attempt.ts";
import { kerberoasting } from "../../../aggregator/detect/detectors/kerberoasting.ts";
import { remoteExecution } from "../../../aggregator/detect/detectors/remote_execution.ts";
import type { Facts, KerberosFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { run, severity, times, update } from "./updates.ts";

const pc = "10.0.0.5", controller = "10.0.0.1", second = "10.0.0.2";

const facts = (atS: number, given: Facts, change: Partial<Segment> = {}) =>
  update(atS, { src_ip: pc, dst_ip: controller, dst_port: 445, facts: given, ...change });
const call = (atS: number, name: string, operation: string, count = 1, change: Partial<Segment> = {}) =>
  facts(atS, { rpc: [{ interface: name, operation, count }] }, change);
const kerberos = (atS: number, ...messages: KerberosFact[]) =>
  facts(atS, { kerberos: messages }, { dst_port: 88, protocol: "udp" });

Deno.test("DCSync by a workstation is high at the first call", () => {
  const [finding] = run(dcsync, [call(0, "drsuapi", "DRSGetNCChanges")]);
  assertEquals([severity(finding), finding.src_ips, finding.dst_ips], ["high", [pc], [controller]]);
});

Deno.test("DCSync is not replication between domain controllers, whoever asks first", () => {
  const replicate = (from: string, to: string, atS: number) =>
    call(atS, "drsuapi", "DRSGetNCChanges", 50, { src_ip: from, dst_ip: to });
  const serves = update(0, { src_ip: pc, dst_ip: second, dst_port: 88, app_protocol: "kerberos" });
  assertEquals(run(dcsync, [serves, replicate(second, controller, 60)]), []);
  assertEquals(
    run(dcsync, [replicate(controller, second, 0), replicate(second, controller, 1)]).map((f) => f.src_ips),
    [],
  );
  assertEquals(run(dcsync, [call(0, "drsuapi", "DRSCrackNames", 30)]), []);
});

Deno.test("coercion: PetitPotam is medium at once, several ways are high, a print client stays low", () => {
  assertEquals(severity(run(coercion, [call(0, "efsrpc", "EfsRpcOpenFileRaw")])[0]), "medium");
  const tool = [
    call(0, "efsrpc", "EfsRpcEncryptFileSrv"),
    call(1, "netdfs", "NetrDfsAddStdRoot"),
    call(2, "spoolss", "RpcRemoteFindFirstPrinterChangeNotificationEx"),
  ];
  const [finding] = run(coercion, tool);
  assertEquals([severity(finding), finding.count], ["high", 3]);
  const printing = times(100, (i) => call(i, "spoolss", "RpcRemoteFindFirstPrinterChangeNotificationEx"));
  assertEquals(severity(run(coercion, printing)[0]), "low");
  assertEquals(
    run(coercion, [call(0, "spoolss", "RpcOpenPrinterEx"), call(1, "netdfs", "NetrDfsGetInfo")]),
    [],
  );
});

Deno.test("remote execution: a created service is medium, with PsExec's file high; looking at services is none", () => {
  const created = call(0, "svcctl", "CreateServiceW");
  assertEquals(severity(run(remoteExecution, [created])[0]), "medium");
  const file = facts(1, { smb: [{ command: "create", tree: "\\\\10.0.0.1\\ADMIN$", file: "PSEXESVC.exe" }] });
  const [finding] = run(remoteExecution, [created, file]);
  assertEquals([severity(finding), finding.src_ips, finding.dst_ips], ["high", [pc], [controller]]);
  const looking = ["OpenSCManagerW", "EnumServicesStatusW", "OpenServiceW", "QueryServiceStatus"];
  assertEquals(run(remoteExecution, looking.map((operation, i) => call(i, "svcctl", operation))), []);
  assertEquals(severity(run(remoteExecution, [call(0, "winreg", "BaseRegSetValue")])[0]), "low");
});

Deno.test("remote execution by files: a program in ADMIN$ counts, a document or a program in a share of people does not", () => {
  const write = (tree: string, file: string) => facts(0, { smb: [{ command: "create", tree, file }] });
  assertEquals(run(remoteExecution, [write("\\\\srv\\C$", "Windows\\Temp\\a.exe")]).length, 1);
  assertEquals(run(remoteExecution, [write("\\\\srv\\IPC$", "__output")]).length, 1);
  assertEquals(run(remoteExecution, [write("\\\\srv\\ADMIN$", "report.docx")]), []);
  assertEquals(run(remoteExecution, [write("\\\\srv\\software", "setup.exe")]), []);
});

Deno.test("exploit attempt: ten authentications are ZeroLogon, nine are computers that start", () => {
  const authenticate = (count: number) => [call(0, "netlogon", "NetrServerAuthenticate3", count)];
  assertEquals(run(exploitAttempt, authenticate(9)), []);
  const [finding] = run(exploitAttempt, authenticate(10));
  assertEquals([severity(finding), finding.title], ["high", "Exploit attempt: ZeroLogon (CVE-2020-1472)"]);
  assertEquals(severity(run(exploitAttempt, [call(0, "spoolss", "RpcAddPrinterDriverEx")])[0]), "medium");
  assertEquals(run(exploitAttempt, [call(0, "srvsvc", "NetrShareEnum")]), []);
});

Deno.test("kerberoasting: two services with RC4 are medium, one is nothing; AES counts from ten services on", () => {
  const ask = (count: number, etype: string) =>
    times(
      count,
      (i) => kerberos(i, { message: "TGS-REQ", service: `MSSQLSvc/db${i}.example`, asked: [etype] }),
    );
  assertEquals(run(kerberoasting, ask(1, "rc4-hmac")), []);
  const [finding] = run(kerberoasting, ask(2, "rc4-hmac"));
  assertEquals([severity(finding), finding.src_ips, finding.dst_ips], ["medium", [pc], [controller]]);
  assertEquals(run(kerberoasting, ask(9, "aes256-cts-hmac-sha1-96")), []);
  assertEquals(severity(run(kerberoasting, ask(10, "aes256-cts-hmac-sha1-96"))[0]), "medium");
  assertEquals(severity(run(kerberoasting, ask(40, "rc4-hmac"))[0]), "high");
});

Deno.test("kerberoasting is not a client at work: tickets of computers, and of the service that gives tickets", () => {
  const names = ["krbtgt/EXAMPLE", "host/pc.example", "cifs/files.example", "LDAP/dc.example", "PC7$"];
  const work = times(
    50,
    (i) => kerberos(i, { message: "TGS-REQ", service: names[i % 5], asked: ["rc4-hmac"] }),
  );
  assertEquals(run(kerberoasting, work), []);
});

Deno.test("AS-REP roasting is an answer to somebody who never proved the password", () => {
  const asked: KerberosFact = { message: "AS-REQ", client: "svc" };
  const answered: KerberosFact = { message: "AS-REP", client: "svc", ticket: "rc4-hmac" };
  const [finding] = run(kerberoasting, [kerberos(0, asked, answered)]);
  assertEquals([severity(finding), finding.title], ["medium", "AS-REP roasting"]);
  const refused: KerberosFact = { message: "KRB-ERROR", error: "KDC_ERR_PREAUTH_REQUIRED", client: "svc" };
  const honest = [kerberos(0, asked, refused), kerberos(1, { ...asked, preauth: true }, answered)];
  assertEquals(run(kerberoasting, honest), []);
});

Deno.test("directory reconnaissance: SharpHound's questions and kerbrute's names are found, a login's are not", () => {
  const search = (filter: string) => facts(0, { ldap: [{ operation: "search", filter }] }, { dst_port: 389 });
  const hound = [
    search("(&(samAccountType=805306368)(servicePrincipalName=*))"),
    search("(samAccountType=805306369)"),
  ];
  assertEquals(severity(run(directoryReconnaissance, hound)[0]), "medium");
  assertEquals(run(directoryReconnaissance, hound.slice(1)), []);
  const login = [
    search("(sAMAccountName=alice)"),
    search("(objectClass=*)"),
    call(1, "samr", "SamrLookupNamesInDomain"),
  ];
  assertEquals(run(directoryReconnaissance, login), []);
  const tries = (count: number) =>
    times(
      count,
      (i) => kerberos(i, { message: "KRB-ERROR", error: "KDC_ERR_C_PRINCIPAL_UNKNOWN", client: `u${i}` }),
    );
  assertEquals(run(directoryReconnaissance, tries(9)), []);
  assertEquals(severity(run(directoryReconnaissance, tries(10))[0]), "medium");
  const sessions = (count: number) =>
    times(count, (i) => call(i, "srvsvc", "NetrSessionEnum", 1, { dst_ip: `10.0.1.${i + 1}` }));
  assertEquals(run(directoryReconnaissance, sessions(4)), []);
  assertEquals(severity(run(directoryReconnaissance, sessions(5))[0]), "medium");
});
