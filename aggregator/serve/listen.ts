/** Opens the port of API and dashboard.
 *
 * In: address, certificate, the API. Out: the URL; a function that ends it: nothing new is taken, what runs has 8 s to end. @module */

import type { Api } from "../api/api.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { readOptionFile } from "../../shared/common_options.ts";
import { bracketed, hostnamesOf, listenAddress, type ServeOptions } from "../options/serve_options.ts";

const drainMs = 8_000;

/** `make` gets the names the API answers for; null = any. @throws {CommandError} when the port is taken. */
export async function listen(
  options: Pick<ServeOptions, "listen" | "tlsCert" | "tlsKey" | "hostnames">,
  edges: Pick<Edges, "clock">,
  make: (hostnames: string[] | null) => Api,
): Promise<{ url: string; close: () => Promise<void> }> {
  const address = listenAddress(options.listen);
  const { hostname, port } = address;
  const isSecure = options.tlsCert !== "";
  const tls = isSecure
    ? {
      cert: await readOptionFile("--tls-cert", options.tlsCert),
      key: await readOptionFile("--tls-key", options.tlsKey),
    }
    : {};
  const api = make(hostnamesOf(address, options.hostnames));
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(
      { hostname, port, ...tls, onListen: () => undefined },
      (request, info) => api.fetch(request, { source: info.remoteAddr.hostname, isSecure }),
    );
  } catch (cause) {
    throw new CommandError(exitCodes.environment, `Cannot listen on ${options.listen}: ${reasonOf(cause)}`, {
      cause,
    });
  }
  return {
    url: `${isSecure ? "https" : "http"}://${bracketed(hostname)}:${server.addr.port}`,
    async close() {
      const ended = new AbortController();
      const done = server.shutdown().catch(() => undefined); // Already closed is closed.
      await Promise.race([done, edges.clock.sleep(drainMs, ended.signal)]);
      ended.abort();
    },
  };
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Deno.errors.AddrInUse) {
    return "another program listens there; end it, or choose another --listen";
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) return "this machine does not have that address";
  if (cause instanceof Deno.errors.PermissionDenied) return "a port below 1024 needs more rights";
  return (cause as Error).message;
}
