/** `picket-aggregator triage preview ID`: exactly what would leave for a model, before anything does. @module */

import { type Command, command, CommandError, exitCodes } from "../../shared/command.ts";
import { generalOptions, storeOf, storeOptions } from "../options/store_options.ts";
import { questionOf } from "../triage/question.ts";

const faults = {
  leak: "nothing: the second check found something in it that identifies",
  content_too_long: "nothing: it would be too long",
} as const;

export const triageCommand: Command = command({
  name: "triage",
  summary: "show what a model would be told about a threat",
  operands: "preview ID",
  about:
    `Prints the content that would be sent to the model about the threat with this id, with labels in place of addresses and names,
and what each label stands for. Nothing is sent. Exit code 1 when nothing would leave.`,
  examples: ["triage preview 00112233aabbccdd", "triage preview 00112233aabbccdd --json"],
  options: { ...generalOptions, ...storeOptions },
  async run(options, operands, edges) {
    const [verb, id, ...rest] = operands;
    if (verb !== "preview" || id === undefined || rest.length > 0) {
      throw new CommandError(exitCodes.usage, 'Cannot run triage as its operands must be "preview ID"');
    }
    const store = await storeOf(options, edges);
    await store.start();
    try {
      const threat = await store.readThreat(id);
      if (threat === null) {
        throw new CommandError(exitCodes.usage, `Cannot preview as no threat has this id: "${id}"`);
      }
      const question = questionOf(threat), { content, fault, labels } = question;
      if (options.json) edges.print(JSON.stringify(question));
      else {
        edges.print(fault === null ? JSON.stringify(content, null, 2) : `Would leave: ${faults[fault]}.`);
        edges.print("");
        for (const [label, original] of Object.entries(labels)) {
          edges.print(`${label} = ${JSON.stringify(original)}`);
        }
      }
      return fault === null ? exitCodes.ok : exitCodes.failed;
    } finally {
      await store.stop();
    }
  },
});
