/** `picket-aggregator`: takes batches in, merges and stores flows, finds and explains threats, answers people.
 *
 * In: the command line. Out: results on standard output, logs on standard error, an exit code. @module */

import "./older_runtime.ts";
import { StoreUnavailable } from "./store/store.ts";
import { analyzeFile, renderAnalysis, renderTimeline } from "./analyze.ts";
import { dispatch, type Program } from "../shared/dispatch.ts";
import { processEdges } from "../shared/process_edges.ts";
import { analyzeCommand } from "./commands/analyze_command.ts";
import { flowsCommand, threatsCommand } from "./commands/ask_command.ts";
import { configCommand } from "./commands/config_command.ts";
import { dbCommand } from "./commands/db_command.ts";
import { doctorCommand } from "./commands/doctor_command.ts";
import { exportCommand } from "./commands/export_command.ts";
import { hostsCommand } from "./commands/hosts_command.ts";
import { keyCommand } from "./commands/key_command.ts";
import { mcpCommand } from "./commands/mcp_command.ts";
import { packetsCommand } from "./commands/packets_command.ts";
import { reportCommand } from "./commands/report_command.ts";
import { policyCommand } from "./commands/policy_command.ts";
import { releaseCommand } from "./commands/release_command.ts";
import { upgradeCommand } from "./commands/upgrade_command.ts";
import { revokeCommand, sensorCommand, sensorsCommand } from "./commands/sensors_command.ts";
import { serveCommand } from "./commands/serve_command.ts";
import { sinkCommand } from "./commands/sink_command.ts";
import { setupCommand } from "./commands/setup_command.ts";
import { suppressCommand } from "./commands/suppress_command.ts";
import { triageCommand } from "./commands/triage_command.ts";
import { tokenCommand } from "./commands/token_command.ts";
import { startAggregator } from "./serve/start.ts";

export const program = {
  name: "picket-aggregator",
  about: "takes batches from sensors, merges and stores flows, finds and explains threats",
  configPath: "/etc/picket/aggregator.json",
  firstSteps: [
    ["analyze FILE...", "threats in capture files, nothing to set up"],
    ["serve", "API and dashboard on http://127.0.0.1:8600"],
    ["setup", "TLS and the line for a sensor on another machine"],
    ["report", "fleet, totals and every threat in words"],
  ],
  commands: [
    serveCommand(startAggregator),
    analyzeCommand({ analyze: analyzeFile, render: renderAnalysis, renderTimeline }),
    setupCommand,
    tokenCommand,
    reportCommand,
    flowsCommand,
    threatsCommand,
    suppressCommand,
    hostsCommand,
    packetsCommand,
    exportCommand,
    mcpCommand(() => Deno.stdin.readable),
    sensorCommand,
    sensorsCommand,
    revokeCommand,
    policyCommand,
    releaseCommand,
    upgradeCommand,
    keyCommand,
    sinkCommand,
    triageCommand,
    dbCommand,
    doctorCommand,
    configCommand,
  ],
  isEnvironment: (error: unknown) => error instanceof StoreUnavailable,
} satisfies Program;

if (import.meta.main) {
  Deno.exit(await dispatch(Deno.args, program, processEdges(program.name)));
}
