/** The gate's last line is right whatever way a run ends. @module */

import { assertEquals } from "@std/assert";
import { skippedTests, summaryLine, totalsOfRun } from "./summary.ts";

Deno.test("summary reads passed, failed and ignored from the closing line", () => {
  assertEquals(totalsOfRun("a ... ok\n\nok | 12 passed (3 steps) | 0 failed | 1 ignored (5s)\n", 0), {
    passed: 12,
    failed: 0,
    skipped: 1,
  });
  const coloured =
    "\n\x1b[0m\x1b[31mFAILED\x1b[0m | 2 passed (1 step) | 6 failed (1 step) | 1 ignored (1 step) (152ms)\n";
  assertEquals(totalsOfRun(coloured, 1), { passed: 2, failed: 6, skipped: 1 });
});

Deno.test("summary takes the last closing line, as tests may print one of their own", () => {
  const output = "ok | 9 passed | 0 failed (1s)\nFAILED | 1 passed | 1 failed (2s)\n\nerror: Test failed\n";
  assertEquals(totalsOfRun(output, 1), { passed: 1, failed: 1, skipped: 0 });
});

Deno.test("summary counts a run that ended badly as failed", () => {
  assertEquals(totalsOfRun("", 0).failed, 1);
  assertEquals(totalsOfRun("error: Type checking failed.\n", 1).failed, 1);
  assertEquals(totalsOfRun("ok | 3 passed | 0 failed (1s)\nSegmentation fault\n", 139), {
    passed: 3,
    failed: 1,
    skipped: 0,
  });
});

Deno.test("summary names each skipped test of a report", () => {
  const junit = `<testsuite name="./a_test.ts">
    <testcase name="runs" classname="./a_test.ts" time="0.000" line="1" col="6">
    </testcase>
    <testcase name="waits &lt;for&gt; a &amp;" classname="./a_test.ts" time="0.000" line="2" col="6">
        <skipped/>
    </testcase>`;
  assertEquals(skippedTests(junit), ["./a_test.ts: waits <for> a &"]);
});

Deno.test("summary line leaves skipped out when there are none", () => {
  assertEquals(summaryLine({ passed: 5, failed: 0, skipped: 0 }), "5 passed, 0 failed");
  assertEquals(summaryLine({ passed: 5, failed: 1, skipped: 2 }), "5 passed, 1 failed, 2 skipped");
});
