/** The files of packets in the state folder.
 *
 * In: ids that the store knows. Out: `ID.pcapng` in a folder of mode 0700, each file 0600. Invariant: a file is
 * complete or absent, with at most a `.part` beside it; files whose name is not an id are left alone. @module */

const idForm = /^[0-9a-f]{16}$/;
const fileForm = /^([0-9a-f]{16})\.(?:pcapng|part)$/;
/** Files listed at once; the next time there are fewer. */
const listedMax = 200_000;

export class PacketFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Rejects when the disk does not take it. */
  async write(id: string, bytes: Uint8Array): Promise<void> {
    await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const part = this.#partOf(id);
    try {
      await Deno.remove(part).catch(() => undefined);
      const file = await Deno.open(part, { write: true, createNew: true, mode: 0o600 });
      try {
        for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
        await file.sync();
      } finally {
        file.close();
      }
      await Deno.rename(part, this.#pathOf(id));
    } catch (error) {
      await Deno.remove(part).catch(() => undefined);
      throw error;
    }
  }

  /** Null = it is not there, or cannot be read. */
  async read(id: string): Promise<Uint8Array | null> {
    return await Deno.readFile(this.#pathOf(id)).catch(() => null);
  }

  async remove(id: string): Promise<void> {
    for (const path of [this.#pathOf(id), this.#partOf(id)]) await removeIfThere(path);
  }

  /** The files that are there, parts included. */
  async list(): Promise<{ id: string; isPart: boolean }[]> {
    const found: { id: string; isPart: boolean }[] = [];
    try {
      for await (const { name } of Deno.readDir(this.#folder)) {
        const id = fileForm.exec(name)?.[1];
        if (id !== undefined) found.push({ id, isPart: name.endsWith(".part") });
        if (found.length >= listedMax) break;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found;
  }

  async removePart(id: string): Promise<void> {
    await removeIfThere(this.#partOf(id));
  }

  #pathOf(id: string): string {
    return `${this.#folder}/${checked(id)}.pcapng`;
  }

  #partOf(id: string): string {
    return `${this.#folder}/${checked(id)}.part`;
  }
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

function checked(id: string): string {
  if (idForm.test(id)) return id;
  throw new TypeError(`Cannot name a file as "id" must be 16 hexadecimal digits: current value is "${id}"`);
}
