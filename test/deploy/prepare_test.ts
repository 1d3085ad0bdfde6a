/** deploy/prepare.sh finds or fetches a Deno by whichever way works, asks apt only for what is missing,
 * and tries again.
 *
 * Method: a copy of the script in a folder of its own, with made-up npm, python3, apt-get and deno on a PATH of ours.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { run } from "./compiled.ts";

const script = new URL("../../deploy/prepare.sh", import.meta.url);
const tools = [
  "bash",
  "sh",
  "sed",
  "sort",
  "head",
  "tail",
  "seq",
  "sleep",
  "dirname",
  "mkdir",
  "mktemp",
  "rm",
  "cat",
  "chmod",
  "id",
  "env",
  "tee",
  "printf",
];
const newDeno = "#!/bin/sh\necho 'deno 2.9.6 (stable)'\n";

Deno.test("prepare takes the deno on PATH when it is new enough", async () => {
  await withMachine({ deno: newDeno }, async ({ ask, bin }) => {
    const { code, stdout, stderr } = await ask("need_deno && echo $DENO");
    assertEquals([code, stdout.trim(), stderr], [0, `${bin}/deno`, ""]);
  });
});

Deno.test("prepare passes over an old deno and fetches one by npm, once", async () => {
  const npm = installer("npm/node_modules/@deno/linux-x64-glibc/deno");
  await withMachine({ deno: "#!/bin/sh\necho 'deno 1.46.3'\n", npm }, async ({ ask, folder }) => {
    const first = await ask("need_deno && echo $DENO");
    assertEquals(first.stdout.trim(), `${folder}/.cache/deno/npm/node_modules/@deno/linux-x64-glibc/deno`);
    assertStringIncludes(first.stderr, "fetching Deno 2.9.6 by npm");
    const second = await ask("need_deno && echo $DENO");
    assertEquals([second.stdout, second.stderr], [first.stdout, ""]);
  });
});

Deno.test("prepare goes on to pip when npm fails three times", async () => {
  const npm = `#!/bin/sh\necho x >> "$FOLDER/npm-calls"\nexit 1\n`;
  await withMachine({ npm, python3: installer("pip/bin/deno") }, async ({ ask, folder }) => {
    const { code, stdout, stderr } = await ask("need_deno && echo $DENO");
    assertEquals([code, stdout.trim()], [0, `${folder}/.cache/deno/pip/bin/deno`], stderr);
    assertEquals(await Deno.readTextFile(`${folder}/npm-calls`), "x\nx\nx\n");
  });
});

Deno.test("prepare says what to do when no way leads to a deno", async () => {
  await withMachine({}, async ({ ask }) => {
    const { code, stderr } = await ask("need_deno");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "Install Deno >= 2.9.3");
  });
});

Deno.test("prepare asks apt only for packages whose program is missing", async () => {
  const aptGet = `#!/bin/sh\necho "$*" >> "$FOLDER/apt-calls"\n`;
  const sudo = `#!/bin/sh\nshift\nexec "$@"\n`;
  await withMachine({ "apt-get": aptGet, sudo, tshark: newDeno }, async ({ ask, folder }) => {
    const { code, stderr } = await ask(
      "need_programs tshark=tshark no-such-program=some-package /no/such/file=other-package",
    );
    assertEquals(code, 0, stderr);
    const calls = await Deno.readTextFile(`${folder}/apt-calls`);
    assertStringIncludes(calls, "install -y -q --no-install-recommends some-package other-package");
    assert(!calls.includes("tshark"));
  });
});

Deno.test("prepare without apt names what is missing and fails", async () => {
  await withMachine({}, async ({ ask }) => {
    const { code, stderr } = await ask("need_programs no-such-program=some-package");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "some-package");
  });
});

Deno.test("prepare reads the permissions of a task for both ways to run", async () => {
  await withMachine({}, async ({ ask, folder }) => {
    const task =
      `{ "tasks": {\n  "sensor": "deno run --no-prompt --allow-run=a,b --allow-net sensor/main.ts"\n} }\n`;
    await Deno.writeTextFile(`${folder}/deno.json`, task);
    const { stdout } = await ask(`read_permissions sensor && printf '%s|' "\${PERMISSIONS[@]}"`);
    assertEquals(stdout, "--no-prompt|--allow-run=a,b|--allow-net|");
    assertEquals((await ask("read_permissions aggregator")).code, 1);
  });
});

/** A program that "installs" a new deno at a place below `.cache/deno`. */
function installer(path: string): string {
  return `#!/bin/sh
case "$*" in *--version*) exit 0 ;; esac
mkdir -p "$(dirname "$FOLDER/.cache/deno/${path}")"
printf '%s' '${newDeno.replaceAll("'", `'\\''`)}' > "$FOLDER/.cache/deno/${path}"
chmod 755 "$FOLDER/.cache/deno/${path}"
`;
}

interface Machine {
  folder: string;
  bin: string;
  ask(commands: string): Promise<{ code: number; stdout: string; stderr: string }>;
}

async function withMachine(
  programs: Record<string, string>,
  body: (machine: Machine) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-prepare-" });
  const bin = `${folder}/bin`;
  try {
    await Deno.mkdir(bin);
    await Deno.mkdir(`${folder}/deploy`);
    // The machine's own deno, npm and apt-get must not be found; everything else the script calls is linked in.
    const text = (await Deno.readTextFile(script)).replace("PATH=$PATH:/usr/sbin:/sbin", "").replace(
      "/usr/sbin/policy",
      `${folder}/policy`,
    );
    await Deno.writeTextFile(`${folder}/deploy/prepare.sh`, text);
    for (const tool of tools) await Deno.symlink(`/usr/bin/${tool}`, `${bin}/${tool}`);
    for (const [name, content] of Object.entries(programs)) {
      await Deno.writeTextFile(`${bin}/${name}`, content, { mode: 0o755 });
    }
    const env = { PATH: bin, FOLDER: folder, PICKET_RETRY_WAIT_S: "0" };
    await body({
      folder,
      bin,
      ask: (commands) => run(`${bin}/bash`, ["-c", `. ${folder}/deploy/prepare.sh; ${commands}`], env),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
