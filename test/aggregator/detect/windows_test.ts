/** Attacks on Windows domains by their calls: what attackers' tools send, and what computers of a domain do all day.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { coercion } from "../../../aggregator/detect/detectors/coercion.ts";
import { dcsync } from "../../../aggregator/detect/detectors/dcsync.ts";
import { directoryReconnaissance } from "../../../aggregator/detect/detectors/directory_reconnaissance.ts";
import { exploitAttempt } from "../../../aggregator/detect/detectors/exploit_attempt.ts";
import { kerberoasting } from "../../../aggregator/detect/detectors/kerberoasting.ts";
import { passTheHash } from "../../../aggregator/detect/detectors/pass_the_hash.ts";
import { rpcAbuse } from "../../../aggregator/detect/detectors/rpc_abuse.ts";
import { remoteExecution } from "../../../aggregator/detect/detectors/remote_execution.ts";
import type { Facts, KerberosFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { inBatches, refused, run, severity, times, update } from "./updates.ts";

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
  for (const dst_port of [389, 3_269]) {
    const asked = update(0, { src_ip: pc, dst_ip: second, dst_port });
    assertEquals(run(dcsync, [asked, replicate(second, controller, 60)]), [], `port ${dst_port}`);
    const scanned = update(0, { ...refused, src_ip: pc, dst_ip: second, dst_port });
    assertEquals(run(dcsync, [scanned, replicate(second, controller, 60)]).length, 1, "it refused");
  }
  assertEquals(
    run(dcsync, [replicate(controller, second, 0), replicate(second, controller, 1)]).map((f) => f.src_ips),
    [],
  );
  assertEquals(run(dcsync, [call(0, "drsuapi", "DRSCrackNames", 30)]), []);
  assertEquals(run(dcsync, [call(0, "drsuapi", "DRSReplicaSync"), replicate(pc, controller, 9)]), []);
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
  const tries = (count: number, everyS: number) =>
    times(
      count,
      (i) =>
        kerberos(
          i * everyS,
          { message: "AS-REQ", client: `u${i}` },
          { message: "KRB-ERROR", error: "KDC_ERR_C_PRINCIPAL_UNKNOWN" },
        ),
    );
  assertEquals(run(directoryReconnaissance, tries(9, 3)), []);
  assertEquals(severity(run(directoryReconnaissance, tries(10, 3))[0]), "medium");
  assertEquals(run(directoryReconnaissance, tries(4, 0.1)), []);
  assertEquals(severity(run(directoryReconnaissance, tries(5, 2.4))[0]), "medium", "five within ten seconds");
  assertEquals(run(directoryReconnaissance, tries(5, 2.6)), []);
  const sessions = (count: number) =>
    times(count, (i) => call(i, "srvsvc", "NetrSessionEnum", 1, { dst_ip: `10.0.1.${i + 1}` }));
  assertEquals(run(directoryReconnaissance, sessions(4)), []);
  assertEquals(severity(run(directoryReconnaissance, sessions(5))[0]), "medium");
});

Deno.test("directory reconnaissance: all RPC services, a whole zone or directory, each user in turn are medium at once", () => {
  const services = (count: number, octets: number) =>
    run(directoryReconnaissance, [
      call(0, "epmapper", "ept_lookup", count, { dst_port: 135, bwd_payload_bytes: octets }),
    ]).map((finding) => [finding.src_ips, severity(finding)]);
  assertEquals([services(1, 4_000), services(1, 3_999)], [[[[pc], "medium"]], []]);
  assertEquals([services(10, 900), services(9, 900)], [[[[pc], "medium"]], []]);
  assertEquals(run(directoryReconnaissance, [call(0, "epmapper", "ept_map", 50)]), []);
  const zone = (type: string, rcode: string) =>
    run(directoryReconnaissance, [
      facts(0, { dns: [{ name: "example.com", type, rcode }] }, { dst_port: 53 }),
    ]);
  assertEquals([zone("AXFR", "NOERROR").map(severity), zone("AXFR", "REFUSED"), zone("SOA", "NOERROR")], [
    ["medium"],
    [],
    [],
  ]);
  const serves = update(9, { protocol: "udp", src_ip: "10.0.0.8", dst_ip: pc, dst_port: 53 });
  const fetches = facts(0, { dns: [{ name: "example.com", type: "AXFR", rcode: "NOERROR" }] }, {
    dst_port: 53,
  });
  assertEquals(
    inBatches(directoryReconnaissance, [[fetches], [serves]]),
    [],
    "a name server, as shows later",
  );
  assertEquals(inBatches(directoryReconnaissance, [[fetches, serves]]), []);
  const all = (name: string, octets: number) =>
    run(directoryReconnaissance, [
      facts(0, { ldap: [{ operation: "search", name, scope: "subtree", filter: "(objectClass=*)" }] }, {
        dst_port: 389,
        bwd_payload_bytes: octets,
      }),
    ]);
  assertEquals([all("DC=example,DC=com", 50_000).map(severity), all("DC=example,DC=com", 49_999)], [[
    "medium",
  ], []]);
  assertEquals(all("OU=phones,DC=example,DC=com", 500_000), []);
  const began = performance.now();
  assertEquals(all(`${"dc=a".repeat(26)},x`, 50_000), []);
  assert(performance.now() - began < 100, "a name from the wire is matched in linear time");
  const users = (count: number) =>
    run(directoryReconnaissance, [
      call(0, "samr", "SamrEnumerateUsersInDomain"),
      call(0, "samr", "SamrQueryInformationUser2", count),
    ]);
  assertEquals([users(5).map(severity), users(4)], [["medium"], []]);
});

Deno.test("directory reconnaissance: one list that hardly any program asks for is low", () => {
  assertEquals(run(directoryReconnaissance, [call(0, "samr", "SamrGetMembersInGroup")]).map(severity), [
    "low",
  ]);
  assertEquals(run(directoryReconnaissance, [call(0, "srvsvc", "NetrShareEnum")]), []);
});

Deno.test("DCSync on a connection seen from its middle is told by three numbers, and is less sure", () => {
  const numbers = (...opnums: number[]) =>
    run(dcsync, [facts(0, { rpc: opnums.map((opnum) => ({ interface: "", opnum })) })]).map(severity);
  assertEquals([numbers(0, 16, 12, 3, 1), numbers(0, 12, 3, 1), numbers(16, 12, 5)], [["medium"], [], []]);
});

Deno.test("coercion: a print server that then logs in to the caller by its machine account raises it, whatever comes first", () => {
  const asked = call(1, "spoolss", "RpcRemoteFindFirstPrinterChangeNotificationEx");
  const login = (account: string, change: Partial<Segment> = {}) =>
    facts(0, { smb: [{ command: "session_setup", account }] }, { src_ip: controller, dst_ip: pc, ...change });
  assertEquals(run(coercion, [asked, login("DC$")]).map((f) => [f.src_ips, severity(f)]), [[[pc], "medium"]]);
  assertEquals(run(coercion, [login("DC$"), asked]).map(severity), ["medium"]);
  assertEquals(run(coercion, [asked, login("alice")]).map(severity), ["low"]);
  assertEquals(
    run(coercion, [asked, login("DC$", { dst_ip: second })]).map(severity),
    ["low"],
    "to somebody else",
  );
  assertEquals(run(coercion, [login("DC$")]), []);
});

Deno.test("coercion: a log-in of the server right after an encrypted session with it is medium; later, before it, or of a person it is none", () => {
  const session = (atS: number, account?: string) =>
    facts(atS, { smb: [{ command: "session_setup", ...account !== undefined && { account } }] });
  const back = (atS: number, account = "DC$") =>
    facts(atS, { smb: [{ command: "session_setup", account }] }, { src_ip: controller, dst_ip: pc });
  const [finding] = run(coercion, [session(100, "alice"), back(110)]);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [[pc], [controller], "medium"]);
  assertStringIncludes(finding.words.summary, "logged in to it with its own machine account");
  assertEquals(run(coercion, [back(101), session(100)]).map(severity), ["medium"], "in any order");
  assertEquals(run(coercion, [session(100), back(111)]), []);
  assertEquals(run(coercion, [session(100), back(99)]), []);
  assertEquals(run(coercion, [session(100), back(101, "bob")]), []);
  assertEquals(run(coercion, [session(100, "PC7$"), back(101)]), [], "two servers that work together");
});

Deno.test("coercion: the calls of MS-SRVS that take a server's name are told by their numbers", () => {
  const of = (opnum: number) => run(coercion, [facts(0, { rpc: [{ interface: "srvsvc", opnum }] })]);
  assertEquals([74, 77].map((opnum) => of(opnum).map(severity)), [["medium"], ["medium"]]);
  assertStringIncludes(of(74)[0].words.summary, "call 74 of srvsvc");
  assertEquals([73, 78].map((opnum) => of(opnum)), [[], []]);
});

Deno.test("remote execution by DCOM and WinRM: an object that is called and a shell count, event forwarding does not", () => {
  assertEquals(run(remoteExecution, [call(0, "IDispatch", "Invoke", 3)]).map(severity), ["medium"]);
  assertEquals(run(remoteExecution, [call(0, "IDispatch", "GetIDsOfNames", 3)]), []);
  const winRm = (uri: string, dst_port = 5_985) =>
    run(remoteExecution, [facts(0, { http: [{ method: "POST", uri }] }, { dst_port })]).map(severity);
  assertEquals([winRm("/wsman"), winRm("/wsman?PSVersion=5.1")], [["medium"], ["medium"]]);
  assertEquals([winRm("/wsman/SubscriptionManager/WEC"), winRm("/wsman", 80)], [[], []]);
});

Deno.test("exploit attempt: worms' calls count at once; SIGRed by the size of one record over TCP, and its sender is the server", () => {
  for (
    const [name, operation] of [["dssetup", "DsRolerUpgradeDownlevelServer"], ["pnp", "PNP_QueryResConfList"]]
  ) {
    assertEquals(run(exploitAttempt, [call(0, name, operation)]).map(severity), ["medium"]);
  }
  assertEquals(run(exploitAttempt, [call(0, "dssetup", "DsRolerGetPrimaryDomainInformation")]), []);
  const answer = (type: string, octets: number, protocol = "tcp") =>
    run(exploitAttempt, [
      facts(0, { dns: [{ name: "a.example", type, rcode: "NOERROR" }] }, {
        dst_port: 53,
        protocol,
        bwd_payload_bytes: octets,
      }),
    ]);
  const [finding] = answer("SIG", 60_000);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [[controller], [pc], "medium"]);
  assertEquals([answer("SIG", 59_999), answer("TXT", 65_000), answer("SIG", 65_000, "udp")], [[], [], []]);
});

Deno.test("EternalBlue needs both kinds of transaction; DoublePulsar, a check and BlueKeep show in one message", () => {
  const sends = (...commands: string[]) =>
    commands.map((command, i) => facts(i, { smb: [{ command }] }, { dst_port: 445 }));
  const [finding] = run(exploitAttempt, sends("oversized_nt_transact", "transaction2_secondary"));
  assertEquals([finding.title, severity(finding), finding.count], [
    "Exploit attempt: EternalBlue (MS17-010)",
    "high",
    1,
  ]);
  assertEquals(run(exploitAttempt, sends("oversized_nt_transact")), []);
  assertEquals(run(exploitAttempt, sends("transaction2_secondary", "transaction2_secondary")), []);
  assertEquals(run(exploitAttempt, sends("transaction2_session_setup")).map(severity), ["high"]);
  const answer = (status: string) =>
    run(exploitAttempt, [facts(0, { smb: [{ command: "transaction", status }] }, { dst_port: 445 })]);
  assertEquals(answer("STATUS_INSUFF_SERVER_RESOURCES").map(severity), ["medium"]);
  assertEquals([answer("STATUS_ACCESS_DENIED"), answer("STATUS_INVALID_HANDLE")], [[], []]);
  const asks = (channel: string) =>
    run(exploitAttempt, [facts(0, { other: { "rdp.channel": channel } }, { dst_port: 3_389 })]).map(severity);
  assertEquals([asks("MS_T120"), asks("rdpsnd")], [["medium"], []]);
});

Deno.test("commands that take an open Redis over are medium at once, a copy of another server alone is low", () => {
  const told = (command: string) =>
    run(exploitAttempt, [facts(0, { other: { "redis.command": command } }, { dst_port: 6_379 })]).map((
      one,
    ) => [
      one.title.replace("Exploit attempt: ", ""),
      severity(one),
      one.src_ips[0] === pc && one.dst_ips[0] === controller,
    ]);
  assertEquals(told("CONFIG SET dir, CONFIG SET dbfilename"), [["Redis that writes files", "medium", true]]);
  assertEquals(told("MODULE LOAD"), [["Redis that runs programs", "medium", true]]);
  assertEquals(told("REPLICAOF, EVAL loadlib").map(([kind, grade]) => [kind, grade]), [
    ["Redis that copies another server", "low"],
    ["Redis that runs programs", "medium"],
  ]);
  assertEquals(told("FLUSHALL"), []);
  const both = { other: { "redis.command": "CONFIG SET dir, CONFIG SET dbfilename" } };
  const [finding] = run(exploitAttempt, [facts(0, both, { dst_port: 6_379 })]);
  assertEquals(finding.count, 1, "one flow");
});

Deno.test("RPC abuse: secrets and logs are medium at once, what administrators do is low until two kinds come together", () => {
  for (
    const [name, operation] of [
      ["lsarpc", "LsarRetrievePrivateData"],
      ["eventlog", "ElfrClearELFW"],
      ["eventlog6", "EvtRpcClearLog"],
      ["winreg", "BaseRegSaveKey"],
      ["drsuapi", "DRSReplicaAdd"],
    ]
  ) {
    const [finding] = run(rpcAbuse, [call(0, name, operation)]);
    assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [[pc], [controller], "medium"]);
  }
  const joins = [call(0, "samr", "SamrCreateUser2InDomain"), call(0, "samr", "SamrSetInformationUser2")];
  assertEquals(run(rpcAbuse, joins).map(severity), ["low"]);
  assertEquals(run(rpcAbuse, [...joins, call(1, "samr", "SamrAddMemberToGroup")]).map(severity), ["medium"]);
  const mixed = [call(0, "samr", "SamrAddMemberToGroup"), call(1, "winreg", "BaseRegSaveKey")];
  assertEquals(
    run(rpcAbuse, mixed)[0].reasons[0].text,
    "it saved a part of the registry, by BaseRegSaveKey; hardly any program does so from afar",
  );
  const secrets = ["LsarRetrievePrivateData", "LsarQuerySecret"].map((name, i) => call(i, "lsarpc", name));
  const points = (calls: typeof secrets) => run(rpcAbuse, calls)[0].reasons[0].points;
  assertEquals([points(secrets), points(secrets.toReversed())], [55, 55], "in either order");
  assertEquals(run(rpcAbuse, [call(0, "samr", "SamrOpenUser"), call(0, "eventlog", "ElfrReadELW")]), []);
});

Deno.test("a log-in by a stolen key: only RC4 with a proof, or a type that does not exist; a password gives AES too", () => {
  const asks = (asked: string[], preauth = true) =>
    run(passTheHash, [kerberos(0, { message: "AS-REQ", client: "bob", asked, ...preauth && { preauth } })])
      .map(severity);
  assertEquals(asks(["0", "0", "rc4-hmac", "rc4-hmac-exp"]), ["medium"]);
  assertEquals(asks(["rc4-hmac"]), ["low"], "old appliances do so too");
  assertEquals([asks(["rc4-hmac"], false), asks(["aes256-cts-hmac-sha1-96", "rc4-hmac"])], [[], []]);
  assertEquals(asks(["rc4-hmac", "des-cbc-md5"]), [], "Windows XP");
});
