/** A real nginx before something that listens on loopback, with TLS there.
 *
 * In: the lines of its `server` block. Out: the port it answers on.
 * Why not shared by a whole run: each test has its own configuration, and a start takes a tenth of a second. @module */

import { findProgram, freePort, GuardedChild } from "./guarded_child.ts";

const readyTimeoutMs = 20_000;

/** Why it cannot run here; undefined when it can. */
export async function nginxMissing(): Promise<string | undefined> {
  return await findProgram("nginx") ? undefined : "nginx is not installed (apt: nginx-light)";
}

export interface Nginx {
  port: number;
  stop(): Promise<void>;
}

/** Starts one with `cert` and `key` (PEM); `locations` is the inside of its server block. */
export async function startNginx(
  { cert, key, locations, port = freePort() }: {
    cert: string;
    key: string;
    locations: string;
    port?: number;
  },
): Promise<Nginx> {
  const folder = await Deno.makeTempDir({ prefix: "picket-nginx-" });
  await Deno.writeTextFile(`${folder}/cert.pem`, cert);
  await Deno.writeTextFile(`${folder}/key.pem`, key, { mode: 0o600 });
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `daemon off;
pid ${folder}/pid;
error_log stderr;
worker_processes 1;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
${locations}
  }
}
`,
  );
  const child = new GuardedChild({
    command: (await findProgram("nginx"))!,
    args: ["-p", folder, "-c", `${folder}/nginx.conf`, "-e", "stderr"],
    folder,
  });
  await child.waitUntilReady("nginx", async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch {
      return false;
    }
  }, readyTimeoutMs);
  return { port, stop: () => child.stop() };
}
