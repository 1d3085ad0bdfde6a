/** One mutant: a line, what it becomes, and the tests that must notice. @module */

export interface Mutant {
  /** Says in words what goes wrong. */
  name: string;
  file: string;
  /** Occurs once in the file. */
  from: string;
  to: string;
  /** The smallest test files that fail with it. */
  tests: readonly string[];
}

/** Of one topic, whose tests are the same unless a mutant names others. */
export function mutantsOf(
  tests: readonly string[],
  list:
    readonly (readonly [name: string, file: string, from: string, to: string, tests?: readonly string[]])[],
): Mutant[] {
  return list.map(([name, file, from, to, others]) => ({ name, file, from, to, tests: others ?? tests }));
}
