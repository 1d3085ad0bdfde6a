/** Adds up what the gate's steps found, and says it on one line.
 *
 * In: Deno's closing line of a test run (`ok | 12 passed (3 steps) | 0 failed | 1 ignored (5s)`), an exit code,
 * a JUnit report.
 * Out: totals and `N passed, N failed`.
 * Why: the JUnit report leaves out a file that failed to load, the closing line counts it; the names of skipped tests
 * stand only in the report. An exit code that says failure wins over a line that says none. @module */

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

// deno-lint-ignore no-control-regex
const colours = /\x1b\[[0-9;]*m/g;
const closingLine =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored(?: \([^)]*\))?)?/;

/** Totals of one `deno test` run; a run that ended without its closing line counts as one failure. */
export function totalsOfRun(output: string, exitCode: number): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  // A test may print such a line of its own, but Deno's comes last.
  for (const line of output.replace(colours, "").split("\n").reverse()) {
    const match = closingLine.exec(line);
    if (!match) continue;
    totals.passed = Number(match[1]);
    totals.failed = Number(match[2]);
    totals.skipped = Number(match[3] ?? 0);
    break;
  }
  if (exitCode !== 0 && totals.failed === 0) totals.failed = 1;
  if (totals.passed + totals.failed + totals.skipped === 0) totals.failed = 1;
  return totals;
}

/** `file: name` of every skipped test in a JUnit report. */
export function skippedTests(junit: string): string[] {
  const skipped = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>\s*<skipped\/>/g;
  return [...junit.matchAll(skipped)].map(([, name, file]) => `${unescapeXml(file!)}: ${unescapeXml(name!)}`);
}

export function summaryLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

function unescapeXml(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll(
    "&apos;",
    "'",
  )
    .replaceAll("&amp;", "&");
}
