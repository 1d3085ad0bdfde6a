/** Counters of interfaces: growth since the start, through resets; unknown where there are none. @module */

import { assert, assertEquals } from "@std/assert";
import { type Counters, countersIn, InterfaceWatch } from "../../../sensor/capture/interface_counters.ts";
import { systemClock } from "../../../shared/clock.ts";
import { cardDrops } from "../../../shared/control_messages.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";

const zeros: Counters = {
  rx_packets: 0,
  tx_packets: 0,
  rx_dropped: 0,
  rx_missed: 0,
  rx_fifo: 0,
  rx_errors: 0,
};

Deno.test("interface watch counts from its start on, every five seconds, and through a reset", async () => {
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  let now: Counters = { ...zeros, rx_packets: 1_000, rx_dropped: 50, rx_missed: 7 };
  const read = (name: string) => Promise.resolve(name === "any" ? null : now);
  const watch = new InterfaceWatch(["eth0", "any"], { clock, reporter, read });
  await watch.start();
  assertEquals(watch.totals, [{ name: "eth0", ...zeros }]);
  now = { ...now, rx_packets: 1_600, tx_packets: 4, rx_dropped: 53, rx_missed: 9, rx_fifo: 1, rx_errors: 2 };
  await clock.advance(4_900);
  assertEquals(watch.totals[0].rx_packets, 0);
  await clock.advance(200);
  const grown = { rx_packets: 600, tx_packets: 4, rx_dropped: 3, rx_missed: 2, rx_fifo: 1, rx_errors: 2 };
  assertEquals(watch.totals, [{ name: "eth0", ...grown }]);
  assertEquals(cardDrops(watch.totals), 6);
  // The interface went and came: it counts from zero again.
  now = { ...zeros, rx_packets: 10, rx_dropped: 1 };
  await watch.stop();
  assertEquals(watch.totals, [{ name: "eth0", ...grown, rx_packets: 610, rx_dropped: 4 }]);
});

Deno.test("interface watch goes on after a reading that failed, and counts it", async () => {
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  let packets = 0;
  const read = () =>
    ++packets === 2
      ? Promise.reject(new Error("out of file descriptors"))
      : Promise.resolve({ ...zeros, rx_packets: packets });
  const watch = new InterfaceWatch(["eth0"], { clock, reporter, read });
  await watch.start();
  await clock.advance(10_100);
  assertEquals([packets, watch.totals[0].rx_packets], [3, 2]);
  assertEquals(counted(reporter, "interface_counter_errors_total"), 1);
  await watch.stop();
});

Deno.test("interface watch without a way to read says so once and is silent", async () => {
  const clock = new FakeClock();
  const { reporter, lines } = silentReporter();
  let asked = 0;
  const read = () => (asked++, Promise.reject(new Error("it is not installed")));
  const watch = new InterfaceWatch(["eth0", "eth1"], { clock, reporter, read });
  await watch.start();
  await clock.advance(60_000);
  await watch.stop();
  assertEquals([watch.totals, asked, lines.length], [[], 1, 1]);
  assert(lines[0].includes("it is not installed"));
});

Deno.test("interface counters are read from the lines of the kernel's files, and from nothing else", () => {
  const counters = { rx_packets: 8, tx_packets: 3, rx_dropped: 6, rx_missed: 4, rx_fifo: 5, rx_errors: 7 };
  assertEquals(countersIn("8\n3\n6\n4\n5\n7\n"), counters);
  const tooMuch = "8\n3\n6\n4\n5\n9007199254740993\n";
  for (const text of ["", "8\n3\n6\n4\n5\n", "8\n3\n6\n4\n5\n7\n1\n", "8\n3\n-6\n4\n5\n7\n", tooMuch]) {
    assertEquals(countersIn(text), null, text);
  }
});

Deno.test("interface watch reads the loopback of this machine, and has nothing of one that is not there", async () => {
  const { reporter } = silentReporter();
  const watch = new InterfaceWatch(["lo", "none0", "../net/lo"], { clock: systemClock, reporter });
  await watch.start();
  await watch.stop();
  assertEquals(watch.totals.map(({ name }) => name), ["lo"]);
});
