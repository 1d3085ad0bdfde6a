/** What requests of industrial protocols do: read, change a value, or change the device itself.
 *
 * In: the name of an operation (dissect/facts/ics_names.ts).
 * Out: its class; null for what neither reads nor changes anything.
 * Sources: as there; ATT&CK for ICS T0855, T0816, T0858, T0843, T0888. @module */

import { industrialPorts, type PreparedUpdate } from "../prepared.ts";
import type { Address } from "./address.ts";

/** `operate` stops, restarts or loads a device; `identify` asks what it is. */
export type IcsAction = "read" | "write" | "operate" | "identify";

/** Not among them: Modbus diagnostics and Unity's requests, with which some panels read,
 * and S7 messages that the controller sends. */
const operates = new Set([
  ...["plc_stop", "plc_control", "request_download", "cold_restart", "warm_restart", "stop_application"],
  ...[
    "initialize_data",
    "initialize_application",
    "delete_file",
    "write_file_record",
    "reset",
    "stop",
    "start",
  ],
  ...["delete", "save_configuration", "activate_configuration", "reinitialize_device"],
  ...["device_communication_control", "C_RP_NA_1"],
]);
const loads = new Set([
  ...["plc_control", "request_download", "write_file_record", "start", "save_configuration"],
  ...["activate_configuration", "initialize_data"],
]);
const identifies = new Set([
  ...[
    "report_server_id",
    "encapsulated_interface_transport",
    "list_identity",
    "list_services",
    "list_interfaces",
  ],
  ...[
    "get_instance_attribute_list",
    "read_exception_status",
    "get_file_information",
    "start_upload",
    "upload",
  ],
]);

export function icsActionOf(operation: string): IcsAction | null {
  if (operates.has(operation)) return "operate";
  if (identifies.has(operation)) return "identify";
  if (
    /^(?:write|set_attribute|mask_write|select|operate|direct_operate|C_(?:SC|DC|RC|SE|BO)_)/.test(operation)
  ) {
    return "write";
  }
  if (/^(?:read|get_|cyclic|C_IC|C_CI|C_RD)/.test(operation)) return "read";
  return null;
}

/** Loading and starting a program, and keeping it, is engineering;
 * the rest of `operate` takes a controller out of work (T0816, T0809). */
export function isIcsStop(operation: string): boolean {
  return operates.has(operation) && !loads.has(operation);
}

/** "read_write_multiple_registers" begins like a read. */
export function isIcsChange(operation: string): boolean {
  const action = icsActionOf(operation);
  return action === "write" || action === "operate" || operation.startsWith("read_write_") ||
    operation.startsWith("read_modify_write");
}

/** The two ends of a flow of an industrial protocol: a flow seen from its middle may stand the wrong way round,
 * and its ports tell. */
export function icsEnds({ src, dst, segment: { src_port, dst_port } }: PreparedUpdate): {
  master: Address;
  device: Address;
  port: number;
} {
  const isTurned = industrialPorts.has(src_port) && !industrialPorts.has(dst_port);
  return isTurned
    ? { master: dst, device: src, port: src_port }
    : { master: src, device: dst, port: dst_port };
}
