/** DCE/RPC headers: what is bound is remembered within bounds, and damaged messages add nothing untrue. @module */

import { assert, assertEquals } from "@std/assert";
import type { Facts } from "../../../../shared/facts.ts";
import {
  findPipeCall,
  isRpc,
  isRpcCall,
  isRpcLogin,
  readRpcCalls,
  RpcBindings,
} from "../../../../sensor/dissect/plain/rpc_message.ts";

const octets = (hex: string) => Uint8Array.fromHex(hex.replaceAll(" ", ""));
const samr = "785734123412cdabef000123456789ac";
const bind = octets(
  "05000b03 10000000 4800 0000 01000000 b810b810 00000000 01000000 0000 01 00" + samr + "01000000" +
    "045d888aeb1cc9119fe808002b104860 02000000",
);
const call = octets("05000003 10000000 1800 0000 01000000 00000000 0000 0d00");

function read(payload: Uint8Array, bindings = new RpcBindings(), id = 1, facts: Facts = {}): Facts {
  readRpcCalls(payload, 0, payload.length, { id, bindings, pipe: 0 }, facts);
  return facts;
}

Deno.test("a call has the interface that its own flow bound", () => {
  const bindings = new RpcBindings();
  assertEquals(read(bind, bindings).rpc, [{ interface: "samr" }]);
  const named = { interface: "samr", opnum: 13, operation: "SamrEnumerateUsersInDomain" };
  assertEquals(read(call, bindings).rpc, [named]);
  assertEquals(read(call, bindings, 2).rpc, [{ interface: "", opnum: 13 }]);
});

Deno.test("of 4,097 flows that bound something the first is forgotten", () => {
  const bindings = new RpcBindings();
  for (let flow = 1; flow <= 4_096; flow++) bindings.keep(flow, 0, 0, `uuid-${flow}`);
  assertEquals(bindings.find(1, 0, 0), "uuid-1");
  bindings.keep(4_097, 0, 0, "uuid-4097");
  assertEquals([bindings.find(1, 0, 0), bindings.find(2, 0, 0)], ["", "uuid-2"]);
});

Deno.test("equal calls are counted, 64 different ones are listed, and more are cut", () => {
  const facts: Facts = {};
  const bindings = new RpcBindings();
  for (let opnum = 0; opnum < 65; opnum++) {
    const one = call.slice();
    one[22] = opnum;
    read(one, bindings, 1, facts);
  }
  read(call, bindings, 1, facts);
  assertEquals([facts.rpc?.length, facts.cut], [64, 1]);
  assertEquals(facts.rpc?.[13], { interface: "", opnum: 13, count: 2 });
});

Deno.test("a message cut anywhere gives no more than the whole one, and one of another shape gives nothing", () => {
  for (let length = 0; length < bind.length; length++) {
    const listed = read(bind.slice(0, length)).rpc ?? [];
    assert(listed.length === 0 || listed[0].interface === "samr", `${length} octets`);
  }
  for (const at of [0, 1, 4, 5]) {
    const odd = call.slice();
    odd[at] = 0x77;
    assertEquals([isRpc(odd, 0, odd.length), read(odd)], [false, {}], `octet ${at}`);
  }
  const answer = call.slice();
  answer[2] = 2;
  assertEquals([isRpc(answer, 0, 24), isRpcCall(answer, 0, 24), isRpcLogin(answer, 0, 24)], [
    true,
    false,
    false,
  ]);
  answer[2] = 16;
  assertEquals([isRpcLogin(answer, 0, 24), isRpcLogin(answer, 0, 23)], [true, false]);
});

Deno.test("an SMB message that points beyond itself holds no call", () => {
  const smb = new Uint8Array(160);
  smb.set(octets("0000009c fe534d42 4000"), 0);
  smb[16] = 9;
  smb.set(call, 116);
  assertEquals(findPipeCall(smb, 0, smb.length), -1);
  smb[70] = 112;
  assertEquals(findPipeCall(smb, 0, smb.length), 116);
  // An answer.
  smb[20] = 1;
  assertEquals(findPipeCall(smb, 0, smb.length), -1);
  smb[20] = 0;
  smb[70] = smb[71] = 0xff;
  assertEquals(findPipeCall(smb, 0, smb.length), -1);
});
