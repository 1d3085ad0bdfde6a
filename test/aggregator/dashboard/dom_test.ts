/** Wire strings on their way into the page: inert and visible. @module */

import { assertEquals } from "@std/assert";
import { inert } from "../../../aggregator/dashboard/browser/dom.ts";

Deno.test("inert makes control, zero-width and direction characters visible, and leaves text and lines alone", () => {
  assertEquals(inert("a\u202eb\u200b\u001b[31m\u2028"), "a\\u{202e}b\\u{200b}\\u{1b}[31m\\u{2028}");
  assertEquals(inert("<b>\n& für"), "<b>\n& für");
  assertEquals(inert(42), "42");
});
