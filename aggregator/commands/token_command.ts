/** `picket-aggregator token`: a join token for one sensor. @module */

import { name } from "../api/schemas.ts";
import { makeJoinToken, tagsMax, tokenLifeMs } from "../api/admin/tokens.ts";
import { openClient } from "../cli/api_client.ts";
import { type Command, command, CommandError, exitCodes, noOperands } from "../../shared/command.ts";
import { generalOptions, remoteOptions, storeOf, storeOptions } from "../options/store_options.ts";

interface Made {
  token: string;
  site: string;
  tags: string[];
  expires_ms: number;
}

export const tokenCommand: Command = command({
  name: "token",
  summary: "make a join token for one sensor",
  operands: "",
  about:
    `Makes a token with which one sensor can enrol, once, within 15 minutes. Works on the database of the state folder or of
--store, also while the aggregator runs; with --url it asks a running aggregator instead. Prints the token.`,
  examples: [
    "token --site office --tags roof,north",
    "token --url http://127.0.0.1:8600 --key-file admin.key --json",
  ],
  options: {
    ...generalOptions,
    ...storeOptions,
    ...remoteOptions,
    site: {
      kind: "text",
      default: "default",
      help: "Site of the sensor: private addresses are told apart by it",
    },
    tags: { kind: "list", default: [], help: "Words to group sensors by" },
  },
  async run(options, operands, edges) {
    noOperands(operands);
    const { site, tags, url } = options;
    for (const word of [site, ...tags]) {
      if (name.safeParse(word).success && tags.length <= tagsMax) continue;
      const rule = `must be 1-63 letters, digits, . _ or -, and tags at most ${tagsMax}`;
      throw new CommandError(
        exitCodes.usage,
        `Cannot make a token as site and tags ${rule}: current value is "${word}"`,
      );
    }
    const made = url === "" ? await makeInStore() : await makeRemotely();
    if (options.json) edges.print(JSON.stringify(made));
    else {
      edges.print(made.token);
      edges.reporter.info(
        `good for one sensor of site ${made.site} during ${tokenLifeMs / 60_000} minutes; on the sensor: ` +
          `picket-sensor enrol --aggregator URL --token TOKEN --name NAME`,
      );
    }
    return exitCodes.ok;

    async function makeInStore(): Promise<Made> {
      const store = await storeOf(options, edges);
      await store.start();
      try {
        const nowMs = edges.clock.nowMs();
        const { token, row } = makeJoinToken(edges.randomBytes(24), { site, tags, nowMs });
        await store.addJoinToken(row);
        return { token, site, tags, expires_ms: row.expires_ms };
      } finally {
        await store.stop();
      }
    }

    async function makeRemotely(): Promise<Made> {
      return await (await openClient(url, options, edges)).post<Made>("/tokens", { site, tags });
    }
  },
});
