/** What `tidy_test.ts` bans, and the exceptions, each with its reason. @module */

export type Rule =
  | "clock"
  | "random"
  | "timer"
  | "console"
  | "environment"
  | "header"
  | "sides"
  | "comment length"
  | "file length"
  | "function length"
  | "private"
  | "default export"
  | "leftover"
  | "absolute path"
  | "registry";

interface Ban {
  rule: Rule;
  pattern: RegExp;
}

export const banned: { everywhere: readonly Ban[]; inSource: readonly Ban[] } = {
  // Parts in brackets keep the patterns from finding themselves.
  everywhere: [
    { rule: "leftover", pattern: /\b(?:TO[D]O|FIX[M]E|XX[X])\b/ },
    { rule: "absolute path", pattern: /(?:^|[\s"'`=(:])\/(?:wor[k]|roo[t]|hom[e])\// },
    {
      rule: "registry",
      pattern:
        /registry\.npm[j]s|py[p]i\.org|deno\.la[n]d|repo1?\.mave[n]|maven\.apach[e]\.org\/maven2|js[r]\.io/,
    },
  ],
  inSource: [
    { rule: "clock", pattern: /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\)/ },
    { rule: "random", pattern: /\bMath\.random\b/ },
    { rule: "timer", pattern: /\bset(?:Timeout|Interval)\(/ },
    { rule: "console", pattern: /\bconsole\./ },
    { rule: "environment", pattern: /\bDeno\.env\b|\bprocess\.env\b/ },
    { rule: "private", pattern: /^\s+private\s/ },
    { rule: "default export", pattern: /^export default\b/ },
  ],
};

/** Rule, path, reason. */
export const exceptions: Partial<Record<Rule, Record<string, string>>> = {
  "clock": {
    "shared/clock.ts": "the one file that reads the clock",
    "aggregator/dashboard/browser/edges.ts": "the one that does in the browser",
  },
  "timer": {
    "shared/clock.ts": "the one file that waits",
    "aggregator/dashboard/browser/edges.ts": "the one that does in the browser",
  },
  "sides": {
    "aggregator/analyze.ts": "the one file that joins both sides: a capture in, threats out, one process",
  },
  "environment": {
    "shared/process_edges.ts": "hands the variables to the options table",
  },
  "registry": { "deploy/prepare.sh": "Deno's own installer, after npm and pip" },
};

/** Files that may be longer than the rest: path, reason. */
export const hotPath: Record<string, string> = {};

/** Packages that are more than one file's business: where they may be imported, and why. */
export const foreignOwners: Record<string, { below: string; reason: string }> = {};

/** All that lies at the top of the repository, apart from what git ignores. */
export const topLevel: readonly string[] = [
  ".ci/",
  ".gitignore",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "SECURITY.md",
  "aggregator/",
  "deno.json",
  "deno.lock",
  "deploy/",
  "sensor/",
  "shared/",
  "test/",
];
