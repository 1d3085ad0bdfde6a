/** `picket-aggregator key`: an API key for a person or a program. @module */

import { makeApiKey } from "../api/api_keys.ts";
import { name as nameSchema } from "../api/schemas.ts";
import { type Role, roles } from "../model/access.ts";
import { openClient } from "../cli/api_client.ts";
import { type Command, command, CommandError, exitCodes, noOperands } from "../../shared/command.ts";
import { generalOptions, remoteOptions, storeOf, storeOptions } from "../options/store_options.ts";

export const keyCommand: Command = command({
  name: "key",
  summary: "make an API key",
  operands: "",
  about:
    `Makes an API key and prints it, this once; only its hash is stored. viewer reads, analyst also sets the status of threats,
admin also makes tokens and keys and revokes sensors.`,
  examples: ["key --name grafana --role viewer"],
  options: {
    ...generalOptions,
    ...storeOptions,
    ...remoteOptions,
    name: { kind: "text", default: "", help: "Whose key it is" },
    role: { kind: "text", default: "viewer", choices: roles, help: "What it may do" },
  },
  async run(options, operands, edges) {
    noOperands(operands);
    const { name, url } = options;
    const role = options.role as Role;
    if (!nameSchema.safeParse(name).success) {
      const rule = '"name" must be 1-63 letters, digits, . _ or -';
      throw new CommandError(exitCodes.usage, `Cannot make a key as ${rule}: current value is "${name}"`);
    }
    const key = url === "" ? await makeInStore() : await makeRemotely();
    edges.print(options.json ? JSON.stringify({ key, name, role }) : key);
    return exitCodes.ok;

    async function makeInStore(): Promise<string> {
      const store = await storeOf(options, edges);
      await store.start();
      try {
        const made = makeApiKey(edges.randomBytes(20), { name, role, nowMs: edges.clock.nowMs() });
        await store.addApiKey(made.row);
        return made.key;
      } finally {
        await store.stop();
      }
    }

    async function makeRemotely(): Promise<string> {
      return (await (await openClient(url, options, edges)).post<{ key: string }>("/keys", { name, role }))
        .key;
    }
  },
});
