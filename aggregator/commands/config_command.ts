/** `picket-aggregator config`: what is in force for `serve`, as a configuration file. @module */

import { dumpOptions } from "../../shared/options.ts";
import { type Command, command, exitCodes, noOperands } from "../../shared/command.ts";
import { readAuthority } from "../tls/authority.ts";
import { listenTextOf } from "../options/served_address.ts";
import { stateFolder } from "../options/store_options.ts";
import { checkExposure, listenAddress, serveOptions } from "../options/serve_options.ts";

export const configCommand: Command = command({
  name: "config",
  summary: "print the configuration in force",
  operands: "",
  about:
    `Checks the options of serve from arguments, environment and configuration file, and prints what is in force as a
configuration file. Secrets are left out.`,
  examples: ["config --dump", "config --config /etc/picket/aggregator.json --listen 127.0.0.1:9000"],
  options: {
    ...serveOptions,
    dump: { kind: "flag", default: false, help: "Print all of it, which is the default" },
  },
  async run(options, operands, edges) {
    noOperands(operands);
    const folder = stateFolder(options.state, edges.env);
    const listen = await listenTextOf(options.listen, folder);
    checkExposure(listenAddress(listen), options, await readAuthority(folder) !== null);
    const { dump: _dump, config: _config, json: _json, ...rest } = options;
    edges.print(dumpOptions(serveOptions, { ...rest, listen } as typeof options));
    return exitCodes.ok;
  },
});
