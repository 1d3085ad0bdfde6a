/** Mutants of archives and exports. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const keep = "aggregator/archive/keep.ts", csv = "aggregator/archive/csv.ts";

export const archiveMutants: Mutant[] = [
  ...mutantsOf(["test/aggregator/archive/keep_test.ts"], [
    ["archive: a final part is written over", keep, "(last.is_final || sums.flows < last.rows)", "false"],
    ["archive: what came back is archived twice", keep, "if (same && await", "if (!same && await"],
    [
      "archive: a damaged file is given back",
      "aggregator/archive/give_back.ts",
      "if (problem !== null) throw new DamagedArchive(",
      'if (problem === "") throw new DamagedArchive(',
    ],
  ]),
  ...mutantsOf(["test/aggregator/retention/archive_test.ts"], [
    [
      "archive: a day leaves without its archive",
      "aggregator/retention/retention.ts",
      'if (failed !== null && reason === "age") continue;',
      "",
    ],
  ]),
  ...mutantsOf(["test/aggregator/archive/csv_test.ts"], [
    ["archive: a formula stays one", csv, `formula.test(shown) ? "'" : ""`, '""'],
    [
      "archive: a formula behind a control character",
      csv,
      "formula.test(shown)",
      "formula.test(cell.trim())",
    ],
  ]),
  ...mutantsOf(["test/aggregator/api/export_test.ts"], [
    [
      "archive: an export that was cut is whole",
      "aggregator/api/export/export.ts",
      "complete: page.next_cursor === undefined",
      "complete: true",
    ],
    [
      "archive: a place of an export is never free",
      "aggregator/api/export/export.ts",
      "        leave();\n      },\n    }, {",
      "      },\n    }, {",
    ],
  ]),
  ...mutantsOf(["test/aggregator/store/sqlite_test.ts"], [
    [
      "archive: a drop gives nobody a turn",
      "aggregator/store/retention_store.ts",
      "await systemClock.sleep((systemClock.monotonicMs() - begunMs) / 4);",
      "void begunMs;",
    ],
  ]),
];
