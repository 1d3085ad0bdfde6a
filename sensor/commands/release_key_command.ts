/** `picket-sensor release-key`: which key must have signed an upgrade, shown or changed on the sensor itself.
 * @module */

import { isReleaseKey, readReleaseKeyFile, releaseKeyId } from "../../shared/release.ts";
import { type Command, command, CommandError, exitCodes } from "../../shared/command.ts";
import { loadIdentity, saveEnrolment } from "../control/identity.ts";
import type { Disk } from "../disk.ts";
import { generalOptions, stateFolder } from "../run/common_options.ts";

const options = { ...generalOptions } as const;

export function releaseKeyCommand({ disk }: { disk: Disk }): Command {
  return command({
    name: "release-key",
    summary: "show or change the key that must have signed an upgrade",
    operands: "[FILE | KEY | none]",
    about:
      `Without an operand prints the public key that was pinned at enrolment. With one pins another: the file that
\`picket-aggregator release keygen\` made, or the key in base64. With "none" this sensor takes no upgrades from the centre any more.
Only somebody on this machine can do that: an aggregator that others have taken over cannot. Restart the service afterwards.`,
    examples: ["release-key", "release-key picket-release.pub", "release-key none"],
    options,
    async run(given, operands, edges) {
      const folder = stateFolder(given.state, edges.env);
      const identity = await loadIdentity(disk, folder);
      if (!identity?.enrolment) {
        throw new CommandError(
          exitCodes.environment,
          `Cannot read the release key as this sensor is not enrolled in "${folder}": use \`picket-sensor enrol\` first`,
        );
      }
      let key = identity.enrolment.release_key ?? null;
      if (operands.length > 0) {
        key = operands.length === 1 ? await readKey(operands[0]) : usage(operands.join(" "));
        await saveEnrolment(disk, folder, { ...identity.enrolment, release_key: key }, {
          carry: identity.carry,
        });
      }
      const id = key === null ? null : releaseKeyId(key);
      const words = id === null
        ? "no release key is pinned: this sensor takes no upgrades from the centre"
        : `release key ${id} is pinned: ${key}`;
      edges.print(given.json ? JSON.stringify({ id, key }) : words);
      return exitCodes.ok;
    },
  });
}

/** @throws {CommandError} when it is neither a key nor a file of one. */
async function readKey(word: string): Promise<string | null> {
  if (word === "none") return null;
  if (isReleaseKey(word)) return word;
  const content = await Deno.readTextFile(word).catch(() => "");
  return readReleaseKeyFile(content) ?? usage(word);
}

function usage(word: string): never {
  throw new CommandError(
    exitCodes.usage,
    `Cannot pin a release key as it must be a file of one, its text, or "none": current value is "${
      word.slice(0, 80)
    }"`,
  );
}
