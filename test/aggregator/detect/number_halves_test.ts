/** Values by numbers of 32 bits: what a bounded map of two halves keeps, and no other. @module */

import { assertEquals } from "@std/assert";
import { NumberHalves } from "../../../aggregator/detect/signs/number_halves.ts";
import { AddressBook } from "../../../aggregator/detect/signs/address.ts";
import { Halves } from "../../../aggregator/model/halves.ts";

Deno.test("numbers are kept and forgotten as by the map of halves", () => {
  const made: string[] = [], madeByMap: string[] = [];
  const numbers = new NumberHalves<{ text: string }>(512), map = new Halves<number, { text: string }>(512);
  const make = (list: string[]) => (text: string) => {
    list.push(text);
    return { text };
  };
  for (let i = 0; i < 50_000; i++) {
    // Small and large ones, 0 and negative ones, many of them again and again.
    const number = i % 3 === 0 ? i % 200 : Math.imul(i * i % 1_009, 0x9e3779b1) | 0, text = String(number);
    assertEquals(numbers.get(number, text, make(made)).text, text);
    map.get(number, () => make(madeByMap)(text));
  }
  assertEquals(made, madeByMap);
  assertEquals(made.length > 2_000, true);
});

Deno.test("a number is forgotten when half the bound of others came twice since it was asked for", () => {
  const numbers = new NumberHalves<{ text: string }>(8);
  const of = (number: number) => numbers.get(number, String(number), (text) => ({ text }));
  const first = of(0);
  for (let i = 1; i <= 7; i++) of(i);
  assertEquals(of(0) === first, true);
  for (let i = 1; i <= 8; i++) of(-i);
  assertEquals(of(0) === first, false);
});

Deno.test("an address is one object however often it is asked for, of IPv4, of IPv6, or of none", () => {
  const book = new AddressBook(1);
  for (
    const ip of [
      "0.0.0.0",
      "10.0.0.1",
      "172.32.0.1",
      "198.51.100.7",
      "255.255.255.255",
      "2001:db8::1",
      "fe80::1",
      "",
    ]
  ) {
    const address = book.of(ip);
    assertEquals([address.ip, book.of(ip) === address], [ip, true]);
  }
  for (let i = 0; i < 20_000; i++) book.of(`203.0.${i >> 8}.${i & 255}`);
  const own = book.of("10.0.0.1");
  assertEquals([own === book.of("10.0.0.1"), own.isOwn], [true, true]);
});

Deno.test("strangers do not crowd out own hosts", () => {
  const book = new AddressBook(1), own = [book.of("10.0.0.1"), book.of("192.168.0.1"), book.of("fd00::1")];
  for (let i = 0; i < 40_000; i++) {
    book.of(`203.0.${i >> 8}.${i & 255}`);
    book.of(`2001:db8::${i.toString(16)}`);
  }
  assertEquals(
    [book.of("10.0.0.1"), book.of("192.168.0.1"), book.of("fd00::1")].map((one, i) => one === own[i]),
    [
      true,
      true,
      true,
    ],
  );
});
