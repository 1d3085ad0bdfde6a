/** Names of what industrial protocols ask for.
 *
 * Sources: Modbus Application Protocol 1.1b3, IEEE 1815 (DNP3), IEC 60870-5-101/104, ASHRAE 135 (BACnet), ODVA's CIP
 * volumes 1 and 2; of S7comm, which is not published, the function codes that its common implementations agree on.
 * Out: a lower-case name, of IEC types the standard's own; "function_99" for a number without one here. @module */

type Names = Readonly<Record<number, string>>;

export const modbusFunctions: Names = {
  1: "read_coils",
  2: "read_discrete_inputs",
  3: "read_holding_registers",
  4: "read_input_registers",
  5: "write_single_coil",
  6: "write_single_register",
  7: "read_exception_status",
  8: "diagnostics",
  11: "get_comm_event_counter",
  12: "get_comm_event_log",
  15: "write_multiple_coils",
  16: "write_multiple_registers",
  17: "report_server_id",
  20: "read_file_record",
  21: "write_file_record",
  22: "mask_write_register",
  23: "read_write_multiple_registers",
  24: "read_fifo_queue",
  43: "encapsulated_interface_transport",
  90: "unity_programming",
};

export const dnp3Functions: Names = {
  0: "confirm",
  1: "read",
  2: "write",
  3: "select",
  4: "operate",
  5: "direct_operate",
  6: "direct_operate_no_ack",
  7: "immediate_freeze",
  8: "immediate_freeze_no_ack",
  9: "freeze_and_clear",
  13: "cold_restart",
  14: "warm_restart",
  15: "initialize_data",
  16: "initialize_application",
  17: "start_application",
  18: "stop_application",
  19: "save_configuration",
  20: "enable_unsolicited",
  21: "disable_unsolicited",
  22: "assign_class",
  23: "delay_measurement",
  24: "record_time",
  25: "open_file",
  26: "close_file",
  27: "delete_file",
  28: "get_file_information",
  29: "authenticate_file",
  30: "abort_file",
  31: "activate_configuration",
  129: "response",
  130: "unsolicited_response",
};

export const s7Functions: Names = {
  0x00: "cpu_services",
  0x04: "read_variable",
  0x05: "write_variable",
  0x1a: "request_download",
  0x1b: "download_block",
  0x1c: "download_ended",
  0x1d: "start_upload",
  0x1e: "upload",
  0x1f: "end_upload",
  0x28: "plc_control",
  0x29: "plc_stop",
  0xf0: "setup_communication",
};

/** Groups of the messages that carry user data. */
export const s7Groups: Names = {
  0: "mode_transition",
  1: "programmer_commands",
  2: "cyclic_data",
  3: "block_functions",
  4: "cpu_functions",
  5: "security",
  6: "block_transfer",
  7: "time_functions",
};

export const enipCommands: Names = {
  0x04: "list_services",
  0x63: "list_identity",
  0x64: "list_interfaces",
  0x65: "register_session",
  0x66: "unregister_session",
  0x6f: "send_rr_data",
  0x70: "send_unit_data",
};

/** Services that mean the same whatever object is asked. */
export const cipServices: Names = {
  0x01: "get_attributes_all",
  0x02: "set_attributes_all",
  0x03: "get_attribute_list",
  0x04: "set_attribute_list",
  0x05: "reset",
  0x06: "start",
  0x07: "stop",
  0x08: "create",
  0x09: "delete",
  0x0a: "multiple_service_packet",
  0x0d: "apply_attributes",
  0x0e: "get_attribute_single",
  0x10: "set_attribute_single",
  0x11: "find_next_object_instance",
  0x15: "restore",
  0x16: "save",
};

/** Services of the connection manager, and those of tags, in Logix controllers. */
export const cipConnectionServices: Names = {
  0x4e: "forward_close",
  0x52: "unconnected_send",
  0x54: "forward_open",
};
export const cipTagServices: Names = {
  0x4b: "execute_pccc",
  0x4c: "read_tag",
  0x4d: "write_tag",
  0x4e: "read_modify_write_tag",
  0x52: "read_tag_fragmented",
  0x53: "write_tag_fragmented",
  0x55: "get_instance_attribute_list",
};

export const iecTypes: Names = {
  1: "M_SP_NA_1",
  3: "M_DP_NA_1",
  5: "M_ST_NA_1",
  7: "M_BO_NA_1",
  9: "M_ME_NA_1",
  11: "M_ME_NB_1",
  13: "M_ME_NC_1",
  15: "M_IT_NA_1",
  30: "M_SP_TB_1",
  31: "M_DP_TB_1",
  34: "M_ME_TD_1",
  35: "M_ME_TE_1",
  36: "M_ME_TF_1",
  37: "M_IT_TB_1",
  45: "C_SC_NA_1",
  46: "C_DC_NA_1",
  47: "C_RC_NA_1",
  48: "C_SE_NA_1",
  49: "C_SE_NB_1",
  50: "C_SE_NC_1",
  51: "C_BO_NA_1",
  58: "C_SC_TA_1",
  59: "C_DC_TA_1",
  60: "C_RC_TA_1",
  61: "C_SE_TA_1",
  62: "C_SE_TB_1",
  63: "C_SE_TC_1",
  64: "C_BO_TA_1",
  70: "M_EI_NA_1",
  100: "C_IC_NA_1",
  101: "C_CI_NA_1",
  102: "C_RD_NA_1",
  103: "C_CS_NA_1",
  105: "C_RP_NA_1",
  107: "C_TS_TA_1",
  110: "P_ME_NA_1",
  111: "P_ME_NB_1",
  112: "P_ME_NC_1",
  113: "P_AC_NA_1",
  120: "F_FR_NA_1",
  121: "F_SR_NA_1",
  122: "F_SC_NA_1",
  123: "F_LS_NA_1",
  124: "F_AF_NA_1",
  125: "F_SG_NA_1",
  126: "F_DR_TA_1",
};

export const bacnetConfirmed: Names = {
  0: "acknowledge_alarm",
  1: "confirmed_cov_notification",
  2: "confirmed_event_notification",
  5: "subscribe_cov",
  6: "atomic_read_file",
  7: "atomic_write_file",
  8: "add_list_element",
  9: "remove_list_element",
  10: "create_object",
  11: "delete_object",
  12: "read_property",
  14: "read_property_multiple",
  15: "write_property",
  16: "write_property_multiple",
  17: "device_communication_control",
  18: "confirmed_private_transfer",
  20: "reinitialize_device",
  26: "read_range",
  28: "subscribe_cov_property",
  29: "get_event_information",
};

export const bacnetUnconfirmed: Names = {
  0: "i_am",
  1: "i_have",
  2: "unconfirmed_cov_notification",
  3: "unconfirmed_event_notification",
  4: "unconfirmed_private_transfer",
  6: "time_synchronization",
  7: "who_has",
  8: "who_is",
  9: "utc_time_synchronization",
};

/** Name of the first of `tables` that has one. */
export function icsName(number: number, ...tables: readonly Names[]): string {
  for (const names of tables) if (names[number] !== undefined) return names[number];
  return `function_${number}`;
}
