/** Triage with a real model: whatever it writes, the rules' words stand, the schema holds, and no severity falls.
 *
 * In: `PICKET_TEST_MODEL`, the address of an OpenAI-compatible server up to `/v1` (llama.cpp, Ollama, vLLM),
 * and `PICKET_TEST_MODEL_NAME`.
 * Why not in the gate: a small model takes a second or more an answer, and its server minutes to build. Any model does:
 * one that writes well-formed nonsense tests the checks best. @module */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { TriageResult } from "../../../aggregator/model/threat.ts";
import { OpenAi } from "../../../aggregator/triage/openai.ts";
import { triageOutcomes } from "../../../aggregator/triage/outcome.ts";
import { TriageQueue } from "../../../aggregator/triage/queue.ts";
import { rulesText, sampleThreat } from "./sample_threat.ts";

const baseUrl = Deno.env.get("PICKET_TEST_MODEL") ?? "";
const model = Deno.env.get("PICKET_TEST_MODEL_NAME") ?? "local";

Deno.test({
  name: "a real model's answers pass every check, or leave the rules' words alone",
  ignore: baseUrl === "",
  fn: async () => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const results: TriageResult[] = [];
    const queue = new TriageQueue({}, {
      model: new OpenAi({ baseUrl, model, triesMax: 1 }, { clock: systemClock, reporter, random: () => 0 }),
      clock: systemClock,
      reporter,
      onResult: (result) => void results.push(result),
      onAudit: ({ sent }) => {
        for (const secret of ["10.1.2.3", "exfil", "branch-7", "pi-kitchen"]) assert(!sent.includes(secret));
      },
    });
    for (let i = 0; i < 5; i++) queue.offer(sampleThreat({ id: `t${i}`, title: `DNS tunnel ${i}` }));
    await queue.idle();
    await queue.stop();
    assertEquals(results.length, 5);
    for (const { severity, triage } of results) {
      assert(["medium", "high"].includes(severity), severity);
      assert(triage.explanation.startsWith(rulesText), triage.explanation);
      assert(triage.fallback === null || (triageOutcomes as readonly string[]).includes(triage.fallback));
    }
  },
});
