/** Entries in chains of blocks: whatever is begun, grown and freed in whatever order, each says what was put into it.
 * @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FactPool } from "../../../../sensor/dissect/facts/fact_pool.ts";
import { Octets } from "../../../../sensor/flow/octets.ts";

const encoder = new TextEncoder();

Deno.test("entries hold what was added, at every length around the size of a block", () => {
  const pool = new FactPool(1_000_000);
  const long = encoder.encode("abcdefghij".repeat(40));
  for (let length = 0; length <= 300; length++) {
    const entry = pool.begin(length);
    for (let at = 0; at < length; at += 7) pool.append(entry, long, at, Math.min(length, at + 7));
    const out = new Octets(1);
    pool.copy(entry, out);
    assertEquals(out.toString(), new TextDecoder().decode(long.subarray(0, length)));
    assert(pool.startsWith(entry, long, 0, length) && !pool.startsWith(entry, long, 0, length + 1));
    assert(length === 0 || !pool.startsWith(entry, long, 1, length + 1));
    assertEquals([pool.tagOf(entry), pool.free(entry), pool.used], [length, -1, 0]);
  }
});

Deno.test("entries do not disturb one another, and the bound holds", () => {
  const action = fc.record({ grow: fc.nat(9), by: fc.nat(200), free: fc.boolean() });
  fc.assert(fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
    const blocksMax = 60;
    const pool = new FactPool(64 * blocksMax);
    const entries: { entry: number; text: string }[] = [];
    actions.forEach(({ grow, by, free }, index) => {
      if (free && entries.length > 0) return pool.free(entries.splice(grow % entries.length, 1)[0].entry);
      if (!pool.hasRoom(by)) return;
      if (grow >= entries.length) entries.push({ entry: pool.begin(index), text: "" });
      const one = entries[Math.min(grow, entries.length - 1)];
      const text = String.fromCharCode(65 + index % 26).repeat(by);
      pool.append(one.entry, encoder.encode(text), 0, by);
      one.text += text;
    });
    assert(pool.used <= blocksMax);
    for (const { entry, text } of entries) {
      const out = new Octets();
      pool.copy(entry, out);
      assertEquals(out.toString(), text);
      pool.free(entry);
    }
    assertEquals(pool.used, 0);
  }));
});
