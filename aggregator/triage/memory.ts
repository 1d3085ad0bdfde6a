/** What triage remembers: answers that may be shared, and what was spent today.
 *
 * In: answers by the likeness of their threats, calls and tokens. Out: the same, also after a restart: nothing is paid
 * for twice, and a program that keeps starting anew does not spend a day's budget each time.
 * Invariant: at most `answersMax` answers; the file is whole or the one before, readable by its owner only. What cannot
 * be read is begun anew, and counted: a lost memory costs calls, never an explanation.
 * The soft limit of a day is {@link softShare} of the hard one: beyond it only severe threats are asked about, so that
 * a noisy morning leaves room for the one that matters. @module */

import { sha256Hex } from "../../shared/batch.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { z } from "../../shared/schema.ts";
import { type Answer, answerSchema } from "./answer.ts";

export interface MemoryOptions {
  /** @default 200 */
  callsPerDayMax: number;
  /** Input and output together. @default 500000 */
  tokensPerDayMax: number;
  /** @default 500 */
  answersMax: number;
}

/** Where a memory survives; null = it does not. */
export interface MemoryFile {
  read(): string | null;
  write(text: string): void;
}

export const softShare = 0.8;
export const dayMs = 86_400_000;
const answersStoredMax = 100_000;

const stored = z.strictObject({
  version: z.literal(1),
  budget: z.strictObject({
    day: z.int(),
    calls: z.number().min(0).max(1e9),
    tokens: z.number().min(0).max(1e12),
  }),
  answers: z.array(z.tuple([z.string().max(64), answerSchema])).max(answersStoredMax),
});

export class TriageMemory {
  readonly #options: MemoryOptions;
  readonly #file: MemoryFile | null;
  readonly #reporter: Reporter;
  readonly #answers = new Map<string, Answer>();
  #budget = { day: -1, calls: 0, tokens: 0 };

  constructor(options: MemoryOptions, deps: { file: MemoryFile | null; reporter: Reporter }) {
    this.#options = options;
    this.#file = deps.file;
    this.#reporter = deps.reporter;
    this.#load();
  }

  /** The answer kept for threats like this one. */
  answer(key: string): Answer | undefined {
    return this.#answers.get(sha256Hex(key));
  }

  keep(key: string, answer: Answer): void {
    while (this.#answers.size >= this.#options.answersMax) {
      this.#answers.delete(this.#answers.keys().next().value!);
    }
    this.#answers.set(sha256Hex(key), answer);
    this.#save();
  }

  /** Takes one call and its tokens out of the day's budget, or says which part of it is used up. */
  reserve(
    tokens: number,
    isSevere: boolean,
    nowMs: number,
  ): "budget_calls" | "budget_tokens" | "budget_soft" | null {
    const day = Math.floor(nowMs / dayMs);
    if (day !== this.#budget.day) this.#budget = { day, calls: 0, tokens: 0 };
    const { callsPerDayMax, tokensPerDayMax } = this.#options;
    const { calls, tokens: spent } = this.#budget;
    if (calls >= callsPerDayMax) return "budget_calls";
    if (spent + tokens > tokensPerDayMax) return "budget_tokens";
    const isSoft = calls >= callsPerDayMax * softShare || spent + tokens > tokensPerDayMax * softShare;
    if (isSoft && !isSevere) return "budget_soft";
    this.#budget.calls++;
    this.#budget.tokens += tokens;
    this.#save();
    return null;
  }

  /** What the call took in the end, in place of what was reserved for it. */
  settle(reserved: number, used: number): void {
    if (used <= 0) return;
    this.#budget.tokens = Math.max(0, this.#budget.tokens + used - reserved);
    this.#save();
  }

  #load(): void {
    const text = this.#attempt(() => this.#file?.read() ?? null);
    if (text === null || text === undefined) return;
    const read = this.#attempt(() => stored.parse(JSON.parse(text)));
    if (!read) return;
    this.#budget = { ...read.budget };
    for (const [key, answer] of read.answers.slice(-this.#options.answersMax)) {
      this.#answers.set(key, answer);
    }
  }

  #save(): void {
    if (this.#file === null) return;
    const text = JSON.stringify({ version: 1, budget: this.#budget, answers: [...this.#answers] });
    this.#attempt(() => this.#file!.write(text));
  }

  #attempt<Result>(work: () => Result): Result | null {
    try {
      return work();
    } catch (error) {
      this.#reporter.count("triage_memory_failures_total");
      this.#reporter.warn("cannot write or read the memory of triage", { error });
      return null;
    }
  }
}

/** A memory in one file, replaced as a whole. */
export function memoryFile(path: string): MemoryFile {
  const bytesMax = 64 * 1024 * 1024;
  return {
    read() {
      try {
        if (Deno.statSync(path).size > bytesMax) throw new Error(`Cannot read "${path}" as it is too large`);
        return Deno.readTextFileSync(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
    write(text) {
      Deno.writeTextFileSync(`${path}.part`, text, { mode: 0o600 });
      Deno.renameSync(`${path}.part`, path);
    },
  };
}
