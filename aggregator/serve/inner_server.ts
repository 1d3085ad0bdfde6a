/** The runtime's HTTP server, on a free port of loopback behind the front door.
 *
 * In: what answers a request. Out: the port; another certificate without a pause.
 * Invariant: there is always one that listens, until it is closed. Why: the runtime's server gives up when it cannot
 * accept a connection, as without a file descriptor, and the program would end with it. @module */

import { innerHost } from "../../shared/inner_host.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Certificate } from "../tls/authority.ts";

type Server = Deno.HttpServer<Deno.NetAddr>;
/** `completed` settles when the answer was sent; it fails when the peer goes away first. */
type Answer = (request: Request, portOfPeer: number, completed: Promise<void>) => Promise<Response>;

const drainMs = 8_000;
const replaceAfterMs = 100;

export class InnerServer {
  #answer: Answer;
  #deps: { clock: Clock; reporter: Reporter };
  #server: Server;
  #isClosed = false;

  /** `certificate` null = no TLS. @throws when it is none. */
  constructor(certificate: Certificate | null, answer: Answer, deps: { clock: Clock; reporter: Reporter }) {
    this.#answer = answer;
    this.#deps = deps;
    this.#server = this.#serve(certificate);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** New connections get this certificate; those that are open keep theirs until they end. @throws when it is none. */
  useCertificate(certificate: Certificate): void {
    const before = this.#server;
    this.#server = this.#serve(certificate);
    void this.#drain(before);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drain(this.#server);
  }

  #serve(certificate: Certificate | null): Server {
    const server = Deno.serve(
      { hostname: innerHost, port: 0, ...certificate ?? {}, onListen: () => undefined },
      (request, info) => this.#answer(request, info.remoteAddr.port, info.completed),
    );
    server.finished.catch((error) => this.#replace(server, certificate, error));
    return server;
  }

  async #replace(server: Server, certificate: Certificate | null, error: unknown): Promise<void> {
    const { clock, reporter } = this.#deps;
    reporter.count("http_servers_replaced_total");
    reporter.error("the HTTP server ended and is started anew", { error });
    while (server === this.#server && !this.#isClosed) {
      await clock.sleep(replaceAfterMs);
      try {
        if (!this.#isClosed) this.#server = this.#serve(certificate);
      } catch {
        // There is still no descriptor.
      }
    }
  }

  async #drain(server: Server): Promise<void> {
    const ended = new AbortController();
    const done = server.shutdown().catch(() => undefined); // Already closed is closed.
    await Promise.race([done, this.#deps.clock.sleep(drainMs, ended.signal)]);
    ended.abort();
  }
}
