/** Loss of the last minute: there while it happens, gone when it is over. @module */

import { assert, assertEquals } from "@std/assert";
import { RecentLoss } from "../../../sensor/control/recent_loss.ts";

const none = { packets: 0, dropped: 0, card_dropped: 0 };

Deno.test("recent loss is what was lost in the last minute, however long the sensor runs", () => {
  const recent = new RecentLoss();
  recent.take(none, 0);
  for (let s = 10; s <= 7_200; s += 10) {
    // A burst of an hour ago, and one that began ten seconds ago.
    const dropped = s < 3_600 ? 0 : s < 7_200 ? 5_000 : 5_040;
    const card = s < 3_610 ? 0 : 3;
    const { seconds, ...found } = recent.take({ packets: s * 100, dropped, card_dropped: card }, s * 1_000);
    assert(seconds <= 60 || s < 60, `${seconds} s`);
    const isBurst = s >= 3_600 && s < 3_660;
    assertEquals(found.packets, Math.min(s, 60) * 100);
    assertEquals(found.dropped, isBurst ? 5_000 : s === 7_200 ? 40 : 0, `${s} s`);
    assertEquals(found.card_dropped, s >= 3_610 && s < 3_670 ? 3 : 0, `${s} s`);
  }
});

Deno.test("recent loss of a sensor that reports seldom or often has a span that is said", () => {
  const seldom = new RecentLoss();
  seldom.take(none, 0);
  assertEquals(seldom.take({ ...none, packets: 5 }, 300_000), {
    seconds: 300,
    packets: 5,
    dropped: 0,
    card_dropped: 0,
  });
  assertEquals(seldom.take({ ...none, packets: 9 }, 600_000).packets, 4);
  const often = new RecentLoss();
  for (let ms = 0; ms <= 600_000; ms += 7) {
    const { seconds } = often.take({ ...none, packets: ms }, ms);
    assert(seconds <= 62, `${seconds} s`);
  }
});
