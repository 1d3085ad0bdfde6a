/** Opens the port of API and dashboard.
 *
 * In: address, certificate, the API. Out: the URL; a way to take another certificate; a function that ends it: nothing
 * new is taken, what runs has 8 s to end.
 * The HTTP server itself listens on a free port of loopback and answers only what comes through the front door.
 * @module */

import type { Api } from "../api/api.ts";
import type { TrustedProxies } from "../model/client_address.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { bracketed, listenAddress } from "../options/serve_options.ts";
import type { Certificate } from "../tls/authority.ts";
import { FrontDoor, type FrontDoorOptions } from "./front_door.ts";
import { InnerServer } from "./inner_server.ts";

export interface Listening {
  url: string;
  /** New connections get this certificate; those that are open keep theirs until they end. @throws when it is none. */
  useCertificate(certificate: Certificate): void;
  close(): Promise<void>;
}

export interface ListenOptions {
  /** HOST:PORT */
  listen: string;
  /** Null = no TLS. */
  certificate: Certificate | null;
  proxies: TrustedProxies;
  limits?: FrontDoorOptions;
}

/** @throws {CommandError} when the port is taken. */
export function listen(
  { listen, certificate, proxies, limits = {} }: ListenOptions,
  { clock, reporter }: Pick<Edges, "clock" | "reporter">,
  api: Api,
): Listening {
  const { hostname, port } = listenAddress(listen);
  const isSecure = certificate !== null;
  const behind = new InnerServer(certificate, answer, { clock, reporter });
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (cause) {
    void behind.close();
    throw new CommandError(exitCodes.environment, `Cannot listen on ${listen}: ${reasonOf(cause)}`, {
      cause,
    });
  }
  const door = new FrontDoor(limits, {
    listener,
    portBehind: () => behind.port,
    proxies,
    clock,
    reporter,
  });
  door.start();
  return {
    url: `${isSecure ? "https" : "http"}://${bracketed(hostname)}:${(listener.addr as Deno.NetAddr).port}`,
    useCertificate: (renewed) => behind.useCertificate(renewed),
    async close() {
      door.stop();
      await behind.close();
      await door.closeAll();
    },
  };

  async function answer(request: Request, portOfPeer: number, completed: Promise<void>): Promise<Response> {
    const source = door.addressOf(portOfPeer);
    // Another user of this machine who calls the inner port would else be taken for anyone.
    if (source === null) return new Response("Ask the aggregator's own port\n", { status: 421 });
    const leave = door.enter(portOfPeer), sent = door.send(portOfPeer);
    completed.then(sent, sent);
    try {
      return await api.fetch(request, { source, isSecure });
    } finally {
      leave();
    }
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Deno.errors.AddrInUse) {
    return "another program listens there; end it, or choose another --listen";
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) return "this machine does not have that address";
  if (cause instanceof Deno.errors.PermissionDenied) return "a port below 1024 needs more rights";
  return (cause as Error).message;
}
