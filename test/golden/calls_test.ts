/** DCE/RPC calls and industrial commands read on the spot, against what tshark says of the same octets.
 *
 * In: talks made here, by the layouts in the protocols' own documents; and ../shared/data/pcap, where it is.
 * Out: equal numbers of equal functions, units, interfaces. @module */

import { assert, assertEquals } from "@std/assert";
import type { Facts, IcsFact } from "../../shared/facts.ts";
import { icsName, modbusFunctions } from "../../sensor/dissect/facts/ics_names.ts";
import { forgetProgram, program } from "./facts_yield.ts";
import { readSegments } from "./segments.ts";
import { fieldOf, readTalks, type Talk } from "./talks.ts";

const folder = new URL("../../../shared/data/pcap", import.meta.url).pathname;
const isHere = (name: string) => {
  try {
    return Deno.statSync(`${folder}/${name}`).isFile;
  } catch {
    return false;
  }
};

const little = (value: number) => Uint8Array.of(value & 255, value >> 8).toHex();
const drsuapi = "354251e3064bd111ab0400c04fc2dcd2";
const transfer = "045d888aeb1cc9119fe808002b104860 02000000";

function rpc(type: number, body: string, flags = 3): string {
  const length = body.replaceAll(" ", "").length / 2 + 16;
  return `05 00 ${type.toString(16).padStart(2, "0")} 0${flags} 10000000 ${
    little(length)
  } 0000 01000000 ${body}`;
}
const bind = (uuid: string, context = 0) =>
  rpc(11, `b810 b810 00000000 01 00 0000 ${little(context)} 01 00 ${uuid} 04000000 ${transfer}`);
const call = (opnum: number, context = 0, flags = 3) =>
  rpc(0, `08000000 ${little(context)} ${little(opnum)} 0102030405060708`, flags);

/** An SMB 2 request: a write to a pipe, or a control that writes and reads. */
function pipe(said: string, command: 9 | 11, id: string): string {
  const size = said.replaceAll(" ", "").length / 2;
  const header = `fe534d42 4000 0000 00000000 ${
    little(command)
  } 0100 00000000 00000000 0200000000000000 00000000 01000000
    0100000000000000 ${"00".repeat(16)}`;
  const write = `3100 7000 ${little(size)} 0000 0000000000000000 ${id} 00000000 00000000 0000 0000 00000000`;
  const control = `3900 0000 17c01100 ${id} 78000000 ${
    little(size)
  } 0000 00000000 00000000 00000000 00040000 01000000
    00000000`;
  const whole = `${header} ${command === 9 ? write : control} ${said}`.replaceAll(/\s/g, "");
  return (whole.length / 2).toString(16).padStart(8, "0") + whole;
}

/** Entries of a list as "word word number", as often as they are counted. */
function counted(facts: readonly (Facts | null)[], words: (fact: IcsFact) => string): string[] {
  const all = facts.flatMap((one) => one?.ics ?? []);
  return all.flatMap((fact) => new Array<string>(fact.count ?? 1).fill(words(fact))).sort();
}

Deno.test("DCE/RPC binds and calls over TCP are those tshark reads, sealed or not, in fragments or not", async () => {
  const talks: Talk[] = [{
    port: 49_668,
    lines: [
      [">", bind(drsuapi, 1)],
      // Acknowledged; the same octets as an answer that was never asked for.
      ["<", rpc(12, "b810b810 01000000 0400 31333500 01000000 00000000" + transfer)],
      [">", call(0, 1)],
      [">", call(3, 1, 1)],
      [">", call(3, 1, 2)],
      [">", call(3, 1)],
      [">", call(99, 1)],
      [">", call(7, 5)],
    ],
  }];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    uuids: await fieldOf(file, "dcerpc.cn_bind_to_uuid"),
    numbers: await fieldOf(file, "dcerpc.opnum", "dcerpc.pkt_type == 0 && dcerpc.cn_flags.first_frag == 1"),
  }));
  assertEquals(apps, ["dcerpc"]);
  assertEquals(facts[0]?.rpc, [
    { interface: "drsuapi" },
    { interface: "drsuapi", opnum: 0, operation: "DRSBind" },
    { interface: "drsuapi", opnum: 3, operation: "DRSGetNCChanges", count: 2 },
    { interface: "drsuapi", opnum: 99 },
    { interface: "", opnum: 7 },
  ]);
  assertEquals(answer, {
    uuids: ["e3514235-4b06-11d1-ab04-00c04fc2dcd2"],
    numbers: ["0", "3", "3", "99", "7"],
  });
});

Deno.test("a call in an SMB pipe belongs to the interface bound in that pipe", async () => {
  const svcctl = "81bb7a364498f135ad3298f038001003", unknown = "00112233445566778899aabbccddeeff";
  const talks: Talk[] = [{
    port: 445,
    lines: [
      [">", pipe(bind(svcctl), 9, "01".repeat(16))],
      [">", pipe(bind(unknown), 11, "02".repeat(8) + "03".repeat(8))],
      [">", pipe(call(12), 11, "01".repeat(16))],
      [">", pipe(call(12), 9, "02".repeat(8) + "03".repeat(8))],
    ],
  }];
  const { facts, apps } = await readTalks(talks, () => Promise.resolve());
  assertEquals(apps, ["smb"]);
  assertEquals(facts[0]?.rpc, [
    { interface: "svcctl" },
    { interface: "33221100-5544-7766-8899-aabbccddeeff" },
    { interface: "svcctl", opnum: 12, operation: "CreateServiceW" },
    { interface: "33221100-5544-7766-8899-aabbccddeeff", opnum: 12 },
  ]);
});

Deno.test("Modbus and DNP3 functions, units and refusals are those tshark reads", async () => {
  const talks: Talk[] = [
    {
      port: 502,
      lines: [
        [">", "0001 0000 0006 11 03 006b 0003"],
        ["<", "0001 0000 0009 11 03 06 022b 0000 0064"],
        // Two in one segment.
        [">", "0002 0000 0006 11 05 00ac ff00  0003 0000 0006 12 63 0000 0000"],
        ["<", "0002 0000 0003 11 85 02"],
      ],
    },
    {
      port: 20_000,
      lines: [
        [">", "0564 08c4 0a00 0100 fc42 c0 c1 0d 8bd8"],
        ["<", "0564 0a44 0100 0a00 6ea4 c0 c1 81 0000 3efe"],
        // The link alone.
        [">", "0564 05c9 0a00 0100 4b1b"],
      ],
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    functions: await fieldOf(file, "modbus.func_code"),
    units: await fieldOf(file, "mbtcp.unit_id"),
    refusals: await fieldOf(file, "modbus.exception_code"),
  }));
  assertEquals(apps, ["modbus", "dnp3"]);
  const modbus = { protocol: "modbus", unit: 17 } as const;
  assertEquals(facts[0]?.ics, [
    { ...modbus, operation: "read_holding_registers" },
    { ...modbus, operation: "read_holding_registers", response: true },
    { ...modbus, operation: "write_single_coil" },
    { protocol: "modbus", operation: "function_99", unit: 18 },
    { ...modbus, operation: "write_single_coil", response: true, exception: 2 },
  ]);
  assertEquals(answer, {
    functions: ["3", "3", "5", "99", "5"],
    units: ["17", "17", "17", "18", "17"],
    refusals: ["2"],
  });
  assertEquals(facts[1]?.ics, [
    { protocol: "dnp3", operation: "cold_restart", unit: 10 },
    { protocol: "dnp3", operation: "response", unit: 10, response: true },
  ]);
});

Deno.test("S7, IEC 104, EtherNet/IP and BACnet are read, as tshark names them", async () => {
  const s7 = (body: string) => {
    const size = body.replaceAll(" ", "").length / 2 + 7;
    return `0300 ${size.toString(16).padStart(4, "0")} 02f080 ${body}`;
  };
  const enip = (command: string, data = "") =>
    `${command} ${
      little(data.replaceAll(" ", "").length / 2)
    } 01000000 00000000 0000000000000000 00000000 ${data}`;
  const service = (said: string) =>
    enip("6f00", `00000000 0000 0200 0000 0000 b200 ${little(said.replaceAll(" ", "").length / 2)} ${said}`);
  const talks: Talk[] = [
    {
      port: 102,
      lines: [
        [">", s7("32 01 0000 0001 0008 0000 f0 00 0001 0001 01e0")],
        ["<", s7("32 03 0000 0001 0008 0000 00 00 f0 00 0001 0001 00f0")],
        [">", s7("32 01 0000 0002 0010 0000 29 0000000000 09 505f50524f4752414d")],
        ["<", s7("32 03 0000 0002 0001 0000 84 04 29")],
      ],
    },
    {
      port: 2_404,
      lines: [
        [">", "68 04 07000000"],
        [">", "68 0e 00000000 64 01 06 00 0a00 000000 14"],
        ["<", "68 0e 00000200 64 01 07 00 0a00 000000 14"],
        // Two in one segment: a single command, and one that is selected.
        [">", "68 0e 02000200 2d 01 06 00 0a00 010000 01  68 0e 04000200 2e 01 06 00 0a00 010000 81"],
      ],
    },
    {
      port: 44_818,
      lines: [
        [">", enip("6500", "0100 0000")],
        [">", service("0e 03 20 01 24 01 30 01")],
        ["<", service("8e 00 08 00")],
        [">", service("52 02 20 06 24 01 0a 05 0600 4d 02 91 01 4100 0100 00")],
        [">", service("0a 02 20 02 24 01 0200 0600 0a00 4c 01 2001 05 01 2001")],
      ],
    },
    {
      port: 47_808,
      isUdp: true,
      lines: [
        [">", "810b 000c 0120 ffff 00 ff 10 08"],
        [">", "810a 0011 0104 0005 01 0c 0c 0233 3333 19 55"],
        ["<", "810a 000d 0100 50 01 0c 91 01 91 20"],
      ],
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    s7: await fieldOf(file, "s7comm.param.func"),
    iec: await fieldOf(file, "iec60870_asdu.typeid"),
    cip: await fieldOf(file, "cip.sc"),
    bacnet: [
      ...await fieldOf(file, "bacapp.unconfirmed_service"),
      ...await fieldOf(file, "bacapp.confirmed_service"),
    ],
  }));
  assertEquals(apps, ["s7comm", "iec104", "enip", "bacnet"]);
  assertEquals(answer.s7, ["0xf0", "0xf0", "0x29", "0x29"]);
  assertEquals(facts[0]?.ics, [
    { protocol: "s7comm", operation: "setup_communication" },
    { protocol: "s7comm", operation: "setup_communication", response: true },
    { protocol: "s7comm", operation: "plc_stop" },
    { protocol: "s7comm", operation: "plc_stop", response: true, exception: 0x84 },
  ]);
  assertEquals(answer.iec, ["100", "100", "45", "46"]);
  assertEquals(facts[1]?.ics, [
    { protocol: "iec104", operation: "C_IC_NA_1", unit: 10 },
    { protocol: "iec104", operation: "C_IC_NA_1", unit: 10, response: true },
    { protocol: "iec104", operation: "C_SC_NA_1", unit: 10 },
    { protocol: "iec104", operation: "C_DC_NA_1", unit: 10 },
  ]);
  assertEquals(facts[2]?.ics, [
    { protocol: "enip", operation: "register_session" },
    { protocol: "cip", operation: "get_attribute_single" },
    { protocol: "cip", operation: "get_attribute_single", response: true, exception: 8 },
    { protocol: "cip", operation: "unconnected_send" },
    { protocol: "cip", operation: "write_tag" },
    { protocol: "cip", operation: "multiple_service_packet" },
    { protocol: "cip", operation: "read_tag" },
    { protocol: "cip", operation: "reset" },
  ]);
  assertEquals(facts[3]?.ics, [
    { protocol: "bacnet", operation: "who_is" },
    { protocol: "bacnet", operation: "read_property" },
    { protocol: "bacnet", operation: "read_property", response: true, exception: 1 },
  ]);
  assertEquals(answer.bacnet, ["8", "12", "12"]);
  assertEquals(answer.cip.length, 7);
});

Deno.test("the first octets of a flow that nothing names are those tshark shows, each way", async () => {
  const talks: Talk[] = [
    {
      port: 4_444,
      lines: [[">", "4d5a9000 0300000004000000ffff0000b8000000"], ["<", "0001"], [">", "ffff"]],
    },
    { port: 27_500, isUdp: true, lines: [["<", "99887766"], [">", "aabb"]] },
    { port: 80, lines: [[">", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n")]] },
  ];
  const { facts, answer } = await readTalks(talks, async (file) => [
    ...await fieldOf(file, "tcp.payload", "tcp.port == 4444 && tcp.len > 0"),
    ...await fieldOf(file, "udp.payload"),
  ]);
  assertEquals(facts.map((one) => one?.first), [
    { fwd: "4d5a90000300000004000000ffff0000", bwd: "0001" },
    { fwd: "99887766", bwd: "aabb" },
    undefined,
  ]);
  assertEquals(answer.map((hex) => hex.replaceAll(":", "").slice(0, 32)), [
    "4d5a90000300000004000000ffff0000",
    "0001",
    "ffff",
    "99887766",
    "aabb",
  ]);
});

Deno.test("NetBIOS names and SNMP communities, asked and answered, are those tshark reads", async () => {
  const nbns = `20 4648464145424545${"4341".repeat(11)} 4141 00`;
  const snmp = (type: string, community: string) => {
    const name = new TextEncoder().encode(community).toHex();
    const rest = `04 ${little(community.length).slice(0, 2)} ${name} ${type} 0b 020101 020100 020100 3000`;
    return `30 ${little(rest.replaceAll(" ", "").length / 2 + 3).slice(0, 2)} 020101 ${rest}`;
  };
  const talks: Talk[] = [
    {
      port: 137,
      clientPort: 137,
      isUdp: true,
      lines: [[">", `0007 0110 0001 0000 0000 0000 ${nbns} 0020 0001`]],
    },
    {
      port: 137,
      clientPort: 1_137,
      isUdp: true,
      lines: [["<", `0007 8500 0000 0001 0000 0000 ${nbns} 0020 0001 000000a5 0006 0000 0a000063`]],
    },
    {
      port: 161,
      isUdp: true,
      lines: [[">", snmp("a0", "public")], [">", snmp("a0", "s3cret")], ["<", snmp("a2", "s3cret")]],
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    names: await fieldOf(file, "nbns.name"),
    addresses: await fieldOf(file, "nbns.addr"),
    communities: await fieldOf(file, "snmp.community"),
  }));
  assertEquals(apps, ["nbns", "nbns", "snmp"]);
  assertEquals(facts[0]?.dns, [{ name: "WPAD<00>", type: "NB" }]);
  assertEquals(facts[1]?.dns, [
    { name: "WPAD<00>", type: "NB", rcode: "NOERROR", answers: ["10.0.0.99"], unasked: true },
  ]);
  assertEquals(facts[2]?.logins, [
    { service: "snmp", user: "public", method: "v2c", outcome: "asked" },
    { service: "snmp", user: "s3cret", method: "v2c", outcome: "accepted" },
  ]);
  assertEquals([answer.names.map((name) => name.split(" ")[0]), answer.addresses, answer.communities], [
    ["WPAD<00>", "WPAD<00>"],
    ["10.0.0.99"],
    ["public", "s3cret", "s3cret"],
  ]);
});

Deno.test({
  name: "Modbus commands of a plant are those tshark reads",
  ignore: !isHere("attack-ics-file-move.pcap"),
  async fn() {
    const file = `${folder}/attack-ics-file-move.pcap`;
    await program.prepare();
    const facts = (await readSegments(file, program)).map((segment) => segment.facts);
    const functions = await fieldOf(file, "modbus.func_code", "modbus && !tcp.analysis.retransmission");
    assert(functions.length > 100);
    assertEquals(
      counted(facts, ({ operation }) => operation),
      functions.map((code) => icsName(Number(code), modbusFunctions)).sort(),
    );
  },
});

Deno.test("what the readings shared is removed", forgetProgram);
