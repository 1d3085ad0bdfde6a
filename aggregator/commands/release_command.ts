/** `picket-aggregator release`: signs programs of sensors, and puts signed ones where sensors get them. @module */

import { keysFromSeed } from "../../shared/batch.ts";
import {
  isMinor,
  isReleaseKey,
  isVersion,
  type Manifest,
  readReleaseKeyFile,
  releaseKeyFile,
  releaseKeyId,
  releaseKeyText,
  releaseLimits,
  signRelease,
  usualFits,
} from "../../shared/release.ts";
import { version } from "../../shared/version.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
} from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import type { Options } from "../../shared/options.ts";
import { readVerb } from "../cli/admin_api.ts";
import { measureProgram, ReleaseFolder } from "../fleet/release_folder.ts";
import { generalOptions, stateFolder, storeOptions } from "../options/store_options.ts";

const verbs = ["keygen", "sign", "trust", "add", "list", "remove"] as const;
const options = {
  ...generalOptions,
  state: storeOptions.state,
  key: { kind: "text", default: "", value: "FILE", help: "keygen, sign: file of the private release key" },
  as: {
    kind: "text",
    default: "",
    value: "VERSION",
    help: "sign: version of the program, else that of this one",
  },
  fits: {
    kind: "text",
    default: "",
    value: "MIN..MAX",
    help: "sign: minor versions it takes over from, like 1.0..1.2; else one down to one up",
  },
} as const;

const secretWord = "picket-release-secret-key";

interface Means {
  given: Options<typeof options>;
  edges: Edges;
  folder: ReleaseFolder;
  print: (result: unknown, lines: readonly string[]) => void;
}

export const releaseCommand: Command = command({
  name: "release",
  summary: "signed programs for sensors: keygen, sign, trust, add, list, remove",
  operands: "VERB [FILE.. | VERSION]",
  about:
    `keygen makes a release key: the private one in --key, the public one beside it with .pub. Keep the private one off this machine;
it signs releases and nothing else. sign makes FILE.release beside each program. trust FILE.pub makes that key the one which sensors
pin when they enrol. add takes programs in, with their .release beside them; only what that key has signed is taken, and what is changed
later is not offered. remove takes all programs of a version out. Then: picket-aggregator upgrade start VERSION.
With several aggregators each has a folder of its own: trust and add on each of them.`,
  examples: [
    "release keygen --key picket-release.key",
    "release sign picket-sensor-x86_64-unknown-linux-gnu picket-sensor-aarch64-unknown-linux-gnu --key picket-release.key",
    "release trust picket-release.key.pub",
    "release add picket-sensor-x86_64-unknown-linux-gnu picket-sensor-aarch64-unknown-linux-gnu",
    "release list",
    "release remove 1.0.0",
  ],
  options,
  async run(given, operands, edges) {
    const { verb, rest } = readVerb(operands, verbs, "list");
    const means: Means = {
      given,
      edges,
      folder: new ReleaseFolder(`${stateFolder(given.state, edges.env)}/releases`),
      print: (result, lines) =>
        given.json
          ? edges.print(JSON.stringify(result))
          : lines.forEach((line) => edges.print(escapeLine(line))),
    };
    if (verb === "keygen" || verb === "list") noOperands(rest);
    else if (rest.length === 0) throw usage(`"${verb}" needs at least one operand`);
    return await acts[verb](means, rest);
  },
});

const acts: Record<typeof verbs[number], (means: Means, rest: string[]) => Promise<number>> = {
  async keygen({ given: { key: path }, edges, print }) {
    if (path === "") throw usage('"--key" must name the file to make');
    const seed = edges.randomBytes(32);
    const key = releaseKeyText(keysFromSeed(seed).publicKey);
    try {
      await Deno.writeTextFile(path, `${secretWord} ${releaseKeyText(seed)}\n`, {
        createNew: true,
        mode: 0o600,
      });
      await Deno.writeTextFile(`${path}.pub`, releaseKeyFile(key), { createNew: true });
    } catch (cause) {
      throw environment(`Cannot make a release key: ${(cause as Error).message}`, cause);
    }
    const id = releaseKeyId(key);
    print({ id, key, file: path, public_file: `${path}.pub` }, [
      `release key ${id} made: ${path} (keep it secret, and off the aggregator), ${path}.pub`,
    ]);
    return exitCodes.ok;
  },
  async sign({ given, print }, files) {
    const seed = await readSecret(given.key);
    const { privateKey } = keysFromSeed(seed);
    const signed: Manifest[] = [];
    for (const file of files) {
      const manifest = await manifestOf(file, given);
      await Deno.writeTextFile(`${file}.release`, `${JSON.stringify(signRelease(manifest, privateKey))}\n`);
      signed.push(manifest);
    }
    print({ signed }, signed.map((manifest, index) => `${files[index]}.release: ${words(manifest)}`));
    return exitCodes.ok;
  },
  async trust({ folder, print }, [word, ...more]) {
    const content = await Deno.readTextFile(word).catch(() => "");
    const key = isReleaseKey(word) ? word : readReleaseKeyFile(content);
    if (key === null || more.length > 0) throw usage(`"trust" needs one file of a public release key`);
    await folder.trust(key);
    const id = releaseKeyId(key);
    print({ id, key }, [`release key ${id} is trusted; sensors that enrol from now on pin it`]);
    return exitCodes.ok;
  },
  async add({ folder, edges, print }, files) {
    const results = [];
    for (const file of files) results.push({ file, ...await folder.add(file, edges.clock.nowMs()) });
    print(
      { rows: results },
      results.map((one) => one.ok ? `added ${words(one.manifest)}` : `not added ${one.file}: ${one.reason}`),
    );
    return results.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.failed;
  },
  async list({ folder, edges, print }) {
    const { key, rows, problems } = await folder.all(edges.clock.nowMs());
    const id = key === null ? null : releaseKeyId(key);
    print({ key: id, rows: rows.map(({ read }) => read), problems }, [
      id === null ? "no release key is trusted: picket-aggregator release trust FILE" : `release key ${id}`,
      ...rows.map(({ read }) => `${words(read)}, ${(read.bytes / 1e6).toFixed(1)} MB`),
      ...problems.map(({ file, reason }) => `NOT OFFERED ${file}: ${reason}`),
    ]);
    return problems.length === 0 ? exitCodes.ok : exitCodes.failed;
  },
  async remove({ folder, edges, print }, [word, ...more]) {
    if (more.length > 0) throw usage('"remove" needs one version');
    const removed = await folder.remove(word, edges.clock.nowMs());
    if (removed === 0) throw new CommandError(exitCodes.failed, `There is no release "${word.slice(0, 60)}"`);
    print({ version: word, removed }, [`removed ${removed} programs of version ${word}`]);
    return exitCodes.ok;
  },
};

async function manifestOf(file: string, given: Options<typeof options>): Promise<Manifest> {
  const named = given.as || version;
  if (!isVersion(named)) {
    throw usage(`"--as" must be like 1.2.3 or 1.2.3+4: current value is "${named.slice(0, 60)}"`);
  }
  const { bytes, sha256, target } = await measureProgram(file).catch((cause) => {
    throw environment(`Cannot sign "${file}": ${(cause as Error).message}`, cause);
  });
  if (target === null) throw usage(`"${file}" must be a program for x86-64 or aarch64`);
  if (bytes > releaseLimits.programBytesMax) {
    throw usage(`"${file}" must have <= ${releaseLimits.programBytesMax} octets: current value is ${bytes}`);
  }
  return { program: "picket-sensor", version: named, target, sha256, bytes, fits: fitsOf(named, given.fits) };
}

function fitsOf(named: string, given: string): Manifest["fits"] {
  if (given === "") return usualFits(named);
  const [min, max, ...more] = given.split("..");
  if (isMinor(min) && isMinor(max ?? "") && more.length === 0) return { min, max };
  throw usage(`"--fits" must be like 1.0..1.2: current value is "${given.slice(0, 60)}"`);
}

/** Another key, as that of a certificate authority, is no release key. @throws {CommandError} */
async function readSecret(path: string): Promise<Uint8Array> {
  if (path === "") throw usage('"--key" must name the file of the private release key');
  let mode: number | null, content: string;
  try {
    mode = (await Deno.stat(path)).mode;
    content = await Deno.readTextFile(path);
  } catch (cause) {
    throw environment(`Cannot read release key: ${(cause as Error).message}`, cause);
  }
  if (mode !== null && (mode & 0o077) !== 0) {
    throw usage(`others may read "${path}": make it yours alone with chmod 600, or make another key`);
  }
  const [word, seed, ...more] = content.trim().split(" ");
  if (word !== secretWord || !isReleaseKey(seed) || more.length > 0) {
    throw usage(`"${path}" must be a private release key: make one with picket-aggregator release keygen`);
  }
  return Uint8Array.from(atob(seed), (letter) => letter.charCodeAt(0));
}

function words({ version: named, target, fits }: Manifest): string {
  return `version ${named} for ${target}, takes over from ${fits.min} to ${fits.max}`;
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, `Cannot go on as ${message}`);
}

function environment(message: string, cause: unknown): CommandError {
  return new CommandError(exitCodes.environment, message, { cause });
}
