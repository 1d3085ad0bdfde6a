/** A plain HTTP/1.1 client over connections that are kept, for benches that have to ask thousands of times a second.
 *
 * In: the octets of a request. Out: status and length of the answer. Invariant: one request a connection at a time; a
 * request takes a connection that is idle, else a new one, so that one slow answer holds up no other.
 * Why not fetch: at a thousand requests a second it takes the core that the program under test needs. @module */

const headMax = 65_536;
const idleMsMax = 30_000;
const decoder = new TextDecoder();

export class HttpLines {
  #hostname: string;
  #port: number;
  #idle: { connection: Deno.TcpConn; sinceMs: number }[] = [];
  /** Most connections that were open at once. */
  opened = 0;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#hostname = hostname;
    this.#port = Number(port);
  }

  /** The answer's status, and the octets of its body. @throws when the connection breaks */
  async ask(head: string, body: Uint8Array): Promise<{ status: number; bytes: number }> {
    const connection = this.#used() ?? await this.#open();
    const request = new TextEncoder().encode(
      `${head}host: ${this.#hostname}\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    const whole = new Uint8Array(request.length + body.length);
    whole.set(request);
    whole.set(body, request.length);
    try {
      for (let at = 0; at < whole.length;) at += await connection.write(whole.subarray(at));
      const answer = await read(connection);
      this.#idle.push({ connection, sinceMs: performance.now() });
      return answer;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  close(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }

  /** The one that was used last. The other side closes those that are idle for long. */
  #used(): Deno.TcpConn | undefined {
    const oldestMs = performance.now() - idleMsMax;
    while (this.#idle.length > 0 && this.#idle[0].sinceMs < oldestMs) this.#idle.shift()!.connection.close();
    return this.#idle.pop()?.connection;
  }

  async #open(): Promise<Deno.TcpConn> {
    this.opened++;
    const connection = await Deno.connect({ hostname: this.#hostname, port: this.#port });
    connection.setNoDelay(true);
    return connection;
  }
}

async function read(connection: Deno.TcpConn): Promise<{ status: number; bytes: number }> {
  const buffer = new Uint8Array(headMax);
  let filled = 0, end = -1, text = "";
  while (end < 0) {
    const octets = await connection.read(buffer.subarray(filled));
    if (octets === null || filled === headMax) {
      throw new Error("Cannot read an answer as the connection ended");
    }
    filled += octets;
    text = decoder.decode(buffer.subarray(0, filled));
    end = text.indexOf("\r\n\r\n");
  }
  const bytes = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1] ?? 0);
  for (let left = bytes - (filled - end - 4); left > 0;) {
    const octets = await connection.read(buffer);
    if (octets === null) throw new Error("Cannot read an answer as the connection ended");
    left -= octets;
  }
  return { status: Number(text.slice(9, 12)), bytes };
}
