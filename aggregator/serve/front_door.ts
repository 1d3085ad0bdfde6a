/** Stands before the HTTP server and keeps those out who take connections without using them.
 *
 * In: connections of anyone. Out: the same octets to the server behind, which listens on loopback;
 * whose each connection is.
 * Invariant: a connection that brings no whole request head within `headMs`, or for `idleMs` neither asks nor takes
 * what is streamed to it, is closed; one peer holds at most `peerMax` of them, all together at most `totalMax`;
 * each one turned away is counted. Each takes three descriptors: when they run out, the door takes fewer from then on.
 * Why: the runtime's HTTP server waits for ever for the second half of a head. Behind this door the server can also be
 * replaced by one with another certificate while connections go on. TLS passes through untouched.
 * What a body may take is body.ts' business.
 * Buffers are small while a connection is idle: thousands of sensors stay connected between two check-ins. @module */

import { ownerOf, plain, type TrustedProxies } from "../model/client_address.ts";
import { innerHost } from "../../shared/inner_host.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";

export interface FrontDoorOptions {
  /** @default 10000 */
  headMs?: number;
  /** @default 75000 */
  idleMs?: number;
  /** As many as a fleet behind one address has.
   * Trusted proxies are not counted: they bring everybody's. @default 2048 */
  peerMax?: number;
  /** @default 16384 */
  totalMax?: number;
}

export interface FrontDoorDeps {
  listener: Deno.TcpListener;
  /** Port of the server behind, on {@link innerHost}; asked for each connection. */
  portBehind: () => number;
  proxies: TrustedProxies;
  clock: Clock;
  reporter: Reporter;
}

interface Guest {
  address: string;
  outer: Deno.TcpConn;
  inner: Deno.TcpConn | null;
  /** Requests that are being handled. */
  running: number;
  /** Answers that are not wholly handed over yet, as they are sent while they are made. */
  sending: number;
  /** Since when a head is awaited; null = none is. */
  headSinceMs: number | null;
  /** Last time something went out or a request ended. */
  activeMs: number;
}

const idleBufferBytes = 2_048;
const busyBufferBytes = 65_536;
const sweepMs = 1_000;
const totalMin = 8;
/** Of this process, or of the system. */
const noDescriptor = /os error 2[34]\b/;

export class FrontDoor {
  #limits: Required<FrontDoorOptions>;
  #deps: FrontDoorDeps;
  #guests = new Set<Guest>();
  #countOf = new Map<string, number>();
  /** By the port of our own end, which is the address the server behind sees. */
  #byPort = new Map<number, Guest>();
  #ended = new AbortController();
  #loops: Promise<unknown>[] = [];

  constructor(options: FrontDoorOptions, deps: FrontDoorDeps) {
    const { headMs = 10_000, idleMs = 75_000, peerMax = 2_048, totalMax = 16_384 } = options;
    this.#limits = { headMs, idleMs, peerMax, totalMax };
    this.#deps = deps;
  }

  start(): void {
    this.#loops = [this.#accept(), this.#sweep()];
  }

  /** Takes nobody new. Connections go on until {@link closeAll}. */
  stop(): void {
    this.#ended.abort();
    this.#deps.listener.close();
  }

  async closeAll(): Promise<void> {
    for (const guest of this.#guests) this.#close(guest);
    await Promise.all(this.#loops);
  }

  /** Who is behind the connection that the server sees coming from `port`; null = it did not come through this door. */
  addressOf(port: number): string | null {
    return this.#byPort.get(port)?.address ?? null;
  }

  /** A request's head is whole: it has begun. Call what is returned when it is answered. */
  enter(port: number): () => void {
    const guest = this.#byPort.get(port);
    if (!guest) return () => undefined;
    guest.running++;
    guest.headSinceMs = null;
    return () => {
      guest.running--;
      guest.activeMs = this.#deps.clock.monotonicMs();
    };
  }

  /** An answer will be sent; call what is returned at its end. What comes in meanwhile may be HTTP/2's own, and is no
   * head; a peer that takes nothing is idle. */
  send(port: number): () => void {
    const guest = this.#byPort.get(port);
    if (!guest) return () => undefined;
    guest.sending++;
    return () => {
      guest.sending--;
      guest.activeMs = this.#deps.clock.monotonicMs();
    };
  }

  async #accept(): Promise<void> {
    const { listener, reporter, clock } = this.#deps;
    while (!this.#ended.signal.aborted) {
      try {
        this.#welcome(await listener.accept());
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        // Out of descriptors, or a peer that was gone at once: the next one may do.
        reporter.count("connections_refused_total", { reason: "accept" });
        this.#leaveRoom(error);
        reporter.warn("cannot accept a connection", { error });
        await clock.sleep(100, this.#ended.signal);
      }
    }
  }

  /** Out of descriptors: from now on fewer connections, so that database and server behind have some. */
  #leaveRoom(error: unknown): void {
    if (!noDescriptor.test((error as Error).message)) return;
    this.#limits.totalMax = Math.max(totalMin, Math.floor(this.#guests.size * 0.8));
    const { reporter } = this.#deps;
    reporter.warn("fewer connections from now on, as the system allows this program no more open files", {
      connections: this.#limits.totalMax,
    });
  }

  #welcome(outer: Deno.TcpConn): void {
    const { reporter, clock, proxies } = this.#deps;
    const address = plain(outer.remoteAddr.hostname);
    const owner = ownerOf(address);
    const held = this.#countOf.get(owner) ?? 0;
    const reason = this.#guests.size >= this.#limits.totalMax
      ? "total"
      : held >= this.#limits.peerMax && !proxies.isTrusted(address)
      ? "peer"
      : null;
    if (reason !== null) {
      reporter.count("connections_refused_total", { reason });
      closeQuietly(outer);
      return;
    }
    this.#countOf.set(owner, held + 1);
    const nowMs = clock.monotonicMs();
    const guest = {
      address,
      outer,
      inner: null,
      running: 0,
      sending: 0,
      headSinceMs: nowMs,
      activeMs: nowMs,
    };
    this.#guests.add(guest);
    reporter.gauge("connections_open", this.#guests.size);
    this.#serve(guest).finally(() => {
      this.#close(guest);
      this.#guests.delete(guest);
      const left = this.#countOf.get(owner)! - 1;
      if (left > 0) this.#countOf.set(owner, left);
      else this.#countOf.delete(owner);
      reporter.gauge("connections_open", this.#guests.size);
    });
  }

  /** Hands octets on both ways until both ends are done. The server behind is called when the first octet came. */
  async #serve(guest: Guest): Promise<void> {
    let port: number | null = null;
    try {
      guest.outer.setNoDelay(true);
      const first = new Uint8Array(idleBufferBytes);
      const length = await guest.outer.read(first);
      if (length === null) return;
      const inner = await Deno.connect({ hostname: innerHost, port: this.#deps.portBehind() });
      guest.inner = inner;
      inner.setNoDelay(true);
      port = inner.localAddr.port;
      this.#byPort.set(port, guest);
      await writeAll(inner, first.subarray(0, length));
      await Promise.all([
        this.#relay(guest.outer, inner, () => this.#noteIncoming(guest)),
        this.#relay(inner, guest.outer, () => guest.activeMs = this.#deps.clock.monotonicMs()),
      ]);
    } catch (error) {
      // Either side went away; the other learns of it by the closing.
      this.#leaveRoom(error);
    } finally {
      if (port !== null) this.#byPort.delete(port);
    }
  }

  async #relay(from: Deno.TcpConn, to: Deno.TcpConn, note: () => void): Promise<void> {
    let buffer = new Uint8Array(idleBufferBytes);
    for (;;) {
      const length = await from.read(buffer);
      if (length === null) break;
      note();
      await writeAll(to, buffer.subarray(0, length));
      note();
      if (length === buffer.length && length < busyBufferBytes) buffer = new Uint8Array(busyBufferBytes);
      else if (length <= idleBufferBytes && buffer.length > idleBufferBytes) {
        buffer = new Uint8Array(idleBufferBytes);
      }
    }
    await to.closeWrite();
  }

  #noteIncoming(guest: Guest): void {
    if (guest.running + guest.sending === 0) guest.headSinceMs ??= this.#deps.clock.monotonicMs();
  }

  async #sweep(): Promise<void> {
    const { clock, reporter } = this.#deps;
    while (!this.#ended.signal.aborted) {
      await clock.sleep(sweepMs, this.#ended.signal);
      const nowMs = clock.monotonicMs();
      for (const guest of this.#guests) {
        if (guest.running > 0) continue;
        const isHeadLate = guest.headSinceMs !== null && nowMs - guest.headSinceMs > this.#limits.headMs;
        const isIdle = nowMs - guest.activeMs > this.#limits.idleMs;
        if (!isHeadLate && !isIdle) continue;
        reporter.count("connections_closed_total", { reason: isHeadLate ? "head" : "idle" });
        this.#close(guest);
      }
    }
  }

  #close({ outer, inner }: Guest): void {
    closeQuietly(outer);
    if (inner) closeQuietly(inner);
  }
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
