/** What was sent to a model and what came back, one JSON line a call, in the state folder.
 *
 * Invariant: readable by the owner only; at most two files of `bytesMax`: the present one, and the one before as `.1`.
 * Why a file and not the log: an auditor wants every call whole, a log line is bounded and sampled. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { TriageAudit } from "./outcome.ts";

export class AuditFile {
  #path: string;
  #bytesMax: number;
  #reporter: Reporter;

  constructor(
    { path, bytesMax = 16 * 1024 * 1024 }: { path: string; bytesMax?: number },
    deps: { reporter: Reporter },
  ) {
    if (!(bytesMax >= 1)) {
      throw new RangeError(`Cannot keep audit as "bytesMax" must be >= 1: current value is ${bytesMax}`);
    }
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#reporter = deps.reporter;
  }

  /** Appends one call. A full disk costs the line, which is counted, not the triage. */
  append(audit: TriageAudit): void {
    try {
      this.#rotate();
      Deno.writeTextFileSync(this.#path, JSON.stringify(audit) + "\n", { append: true, mode: 0o600 });
      this.#reporter.count("audit_lines_total");
    } catch (error) {
      this.#reporter.count("audit_lines_lost_total");
      this.#reporter.error("cannot write audit line", { error });
    }
  }

  #rotate(): void {
    let size = 0;
    try {
      size = Deno.statSync(this.#path).size;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (size >= this.#bytesMax) Deno.renameSync(this.#path, `${this.#path}.1`);
  }
}
