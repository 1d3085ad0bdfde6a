/** Tests of what starts a sensor: which program, how often one on trial, and what an installation by hand does.
 *
 * Method: the script as shipped, with the path of the installed program put into a temporary folder;
 * programs are shell scripts that say who they are. @module */

import { assertEquals, assertMatch } from "@std/assert";

const script = new URL("../../deploy/start-sensor.sh", import.meta.url).pathname;

class Machine {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-start-" });
  readonly slots = `${this.folder}/state/slots`;

  constructor() {
    const text = Deno.readTextFileSync(script).replace(
      "installed=/usr/local/bin/picket-sensor",
      `installed=${this.folder}/installed`,
    );
    Deno.writeTextFileSync(`${this.folder}/start`, text);
    this.program(`${this.folder}/installed`, "installed");
    Deno.mkdirSync(`${this.folder}/state`);
  }

  program(path: string, name: string, more = ""): void {
    Deno.writeTextFileSync(path, `#!/bin/sh\necho "${name} $PICKET_SLOT $*"\n${more}\n`, { mode: 0o755 });
  }

  fill(slot: "a" | "b", more = ""): void {
    Deno.mkdirSync(`${this.slots}/${slot}`, { recursive: true });
    this.program(`${this.slots}/${slot}/picket-sensor`, `program-${slot}`, more);
  }

  link(name: string, to: string): void {
    Deno.symlinkSync(to, `${this.slots}/${name}`);
  }

  links(): Record<string, string> {
    return Object.fromEntries(
      [...Deno.readDirSync(this.slots)].filter(({ isSymlink }) => isSymlink)
        .map(({ name }) => [name, Deno.readLinkSync(`${this.slots}/${name}`)]),
    );
  }

  async start(
    args = ["run"],
    env: Record<string, string> = {},
  ): Promise<{ said: string; signal: string | null }> {
    const { stdout, signal } = await new Deno.Command("sh", {
      args: [`${this.folder}/start`, ...args],
      env: { PICKET_STATE: `${this.folder}/state`, ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).output();
    return { said: new TextDecoder().decode(stdout).trim(), signal };
  }

  async said(): Promise<string> {
    return (await this.start()).said;
  }

  remove(): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

async function scenario(work: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = new Machine();
  try {
    await work(machine);
  } finally {
    machine.remove();
  }
}

Deno.test("without an upgrade the installed program is started, with the words that were given", () =>
  scenario(async (machine) => {
    assertEquals(
      (await machine.start(["run", "--interface", "a b"])).said,
      "installed installed run --interface a b",
    );
    Deno.mkdirSync(machine.slots);
    assertEquals(await machine.said(), "installed installed run");
  }));

Deno.test("a new program is started once; then the one before, whatever links are left", () =>
  scenario(async (machine) => {
    machine.fill("a");
    machine.fill("b");
    machine.link("active", "a");
    assertEquals(await machine.said(), "program-a a run");
    machine.link("next", "b");
    Deno.writeTextFileSync(`${machine.slots}/ended`, "of another time\n");
    assertEquals(await machine.said(), "program-b b run");
    assertEquals(machine.links(), { active: "a", tried: "b" });
    assertEquals([...Deno.readDirSync(machine.slots)].some(({ name }) => name === "ended"), false);
    for (const _ of [1, 2]) assertEquals(await machine.said(), "program-a a run");
    // As the program does once it has proved itself.
    Deno.renameSync(`${machine.slots}/tried`, `${machine.slots}/active`);
    assertEquals(await machine.said(), "program-b b run");
  }));

Deno.test("a link to what is no slot, or a slot without a program, leads to the installed one", () =>
  scenario(async (machine) => {
    machine.fill("a");
    for (const to of ["../../evil", "c", "/bin", "b"]) {
      machine.link("next", to);
      assertEquals(await machine.said(), "installed installed run", to);
      assertEquals(machine.links(), { tried: to });
      Deno.removeSync(`${machine.slots}/tried`);
    }
    machine.link("active", "b");
    assertEquals(await machine.said(), "installed installed run");
  }));

Deno.test("a program that is installed by hand is in force at once, over active and over what is to be tried", () =>
  scenario(async (machine) => {
    machine.fill("a");
    machine.fill("b");
    machine.link("active", "a");
    assertEquals(await machine.said(), "program-a a run");
    machine.link("next", "b");
    Deno.removeSync(`${machine.folder}/installed`);
    machine.program(`${machine.folder}/installed`, "newly-installed");
    assertEquals(await machine.said(), "newly-installed installed run");
    assertEquals(machine.links(), {});
    machine.link("next", "b");
    assertEquals(await machine.said(), "program-b b run", "and later upgrades are upgrades again");
  }));

Deno.test("a program that neither ends nor proves itself is killed when its time is over, one that has is not", () =>
  scenario(async (machine) => {
    machine.fill("a", "exec sleep 30");
    Deno.writeTextFileSync(`${machine.slots}/deadline`, "1\n");
    machine.link("next", "a");
    assertEquals((await machine.start()).signal, "SIGKILL");
    machine.fill("b", `mv ${machine.slots}/tried ${machine.slots}/active; sleep 2; echo alive`);
    Deno.removeSync(`${machine.slots}/tried`);
    machine.link("next", "b");
    const { said, signal } = await machine.start();
    assertEquals(signal, null);
    assertMatch(said, /alive$/);
  }));

Deno.test("how a program ended is noted while it is on trial, and not else", () =>
  scenario(async (machine) => {
    const how = { SERVICE_RESULT: "exit-code", EXIT_CODE: "exited", EXIT_STATUS: "7" };
    const noted = () => Deno.readTextFile(`${machine.slots}/ended`).catch(() => null);
    await machine.start(["ended"], how);
    machine.fill("a");
    await machine.start(["ended"], how);
    assertEquals(await noted(), null);
    machine.link("tried", "a");
    assertEquals((await machine.start(["ended"], how)).said, "");
    assertEquals(await noted(), "exit-code exited 7\n");
  }));
