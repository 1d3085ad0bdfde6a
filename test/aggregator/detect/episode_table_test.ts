/** Keys by parts of an update, and the table that finds episodes by them. @module */

import { assertEquals } from "@std/assert";
import { EpisodeTable, type Key } from "../../../aggregator/detect/episode_table.ts";
import { by, type KeyEnds } from "../../../aggregator/detect/keys.ts";
import { prepare, PrepareBooks } from "../../../aggregator/detect/prepared.ts";
import type { Segment } from "../../../shared/segment.ts";
import { update } from "./updates.ts";

const books = new PrepareBooks();
function endsOf(change: Partial<Segment>, network = "site"): KeyEnds {
  return prepare([{ ...update(0, change), network }], books)[0];
}
const kept = (ownKey: Key, origin: KeyEnds) => ({ ownKey, origin });

Deno.test("a key is told by its parts, in one order, after the network and the word", () => {
  const ends = endsOf({ protocol: "udp", src_ip: "10.0.0.5", dst_ip: "2001:db8::1", dst_port: 53 });
  const texts = [by.src, by.dst, by.pair, by.protocolSrc, by.protocolPort, by.call.after("held")].map((key) =>
    key.textOf(ends)
  );
  assertEquals(texts, [
    "site|10.0.0.5",
    "site|2001:db8::1",
    "site|10.0.0.5|2001:db8::1",
    "site|udp|10.0.0.5",
    "site|udp|53",
    "site|held|udp|10.0.0.5|2001:db8::1|53",
  ]);
});

Deno.test("a key is read back from its text, and from no other", () => {
  const ends = endsOf({ src_ip: "10.0.0.5", dst_ip: "10.0.0.9", dst_port: 22 }, "site|east");
  for (const key of Object.values(by).flatMap((one) => [one, one.after("held")])) {
    const read = key.read(key.textOf(ends))!;
    assertEquals(
      [key.isSame(read, ends), key.hashOf(read) === key.hashOf(ends)],
      [true, true],
      key.textOf(ends),
    );
    assertEquals(key.after("other").read(key.textOf(ends)), null);
  }
  assertEquals(by.call.read("10.0.0.5|22"), null);
  assertEquals(by.pairPort.read("site|10.0.0.5|10.0.0.9|0x16"), null);
});

Deno.test("keys differ by what is their part and by nothing else", () => {
  const change = { src_ip: "10.0.0.5", dst_ip: "10.0.0.9", dst_port: 22, src_port: 1 };
  const ends = endsOf(change);
  assertEquals(by.call.isSame(ends, endsOf({ ...change, src_port: 2 })), true);
  for (
    const other of [{ src_ip: "10.0.0.6" }, { dst_ip: "10.0.0.6" }, { dst_port: 23 }, {
      protocol: "udp",
    }] as const
  ) {
    assertEquals(by.call.isSame(ends, endsOf({ ...change, ...other })), false, JSON.stringify(other));
  }
  assertEquals(by.call.isSame(ends, endsOf(change, "other")), false);
  assertEquals(by.src.isSame(ends, endsOf({ ...change, dst_ip: "10.0.0.6", dst_port: 9 })), true);
});

Deno.test("the table finds what a map would, over thousands that come, go and come again", () => {
  const table = new EpisodeTable<ReturnType<typeof kept>>(), map = new Map<string, ReturnType<typeof kept>>();
  const keys: Key[] = [by.src, by.protocolPort.after("hosts"), "text"];
  for (let i = 0; i < 30_000; i++) {
    const host = i * 7_919 % 4_001,
      ends = endsOf({ src_ip: `10.1.${host >> 8}.${host & 255}`, dst_port: host });
    const key = keys[i % 3], text = typeof key === "string" ? `site|${key}` : key.textOf(ends);
    assertEquals(table.get(key, ends), map.get(text), text);
    if (i % 5 === 0) {
      table.delete(key, ends);
      map.delete(text);
    } else {
      const value = kept(key, ends);
      table.set(key, ends, value);
      map.set(text, value);
    }
    assertEquals(table.size, map.size);
  }
  assertEquals(new Set(table.values()), new Set(map.values()));
  const [text, value] = [...map].find(([, { ownKey }]) => ownKey === by.src)!;
  assertEquals([table.take(text, [by.src]), table.take(text, [by.src])], [value, undefined]);
  assertEquals(table.size, map.size - 1);
  table.clear();
  assertEquals([table.size, [...table.values()], table.take("site|text", [])], [0, [], undefined]);
});
