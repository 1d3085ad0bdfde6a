/** Words for DHCP message types (RFC 2132), SMB commands and NT status codes (MS-SMB2, MS-CIFS, MS-ERREF).
 *
 * Out: a lower-case or upper-case word; the number for those without one here. @module */

const dhcpMessages = ["", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"];
const smb2Commands = [
  "negotiate",
  "session_setup",
  "logoff",
  "tree_connect",
  "tree_disconnect",
  "create",
  "close",
  "flush",
  "read",
  "write",
  "lock",
  "ioctl",
  "cancel",
  "echo",
  "query_directory",
  "change_notify",
  "query_info",
  "set_info",
  "oplock_break",
];
const smb1Commands: Readonly<Record<number, string>> = {
  0x06: "delete",
  0x07: "rename",
  0x25: "transaction",
  0x2d: "open",
  0x2e: "read",
  0x2f: "write",
  0x32: "transaction2",
  0x71: "tree_disconnect",
  0x72: "negotiate",
  0x73: "session_setup",
  0x74: "logoff",
  0x75: "tree_connect",
  0xa0: "nt_transact",
  0xa2: "create",
};
const ntStatuses: Readonly<Record<number, string>> = {
  0x00000103: "STATUS_PENDING",
  0x80000005: "STATUS_BUFFER_OVERFLOW",
  0x80000006: "STATUS_NO_MORE_FILES",
  0xc000000f: "STATUS_NO_SUCH_FILE",
  0xc0000016: "STATUS_MORE_PROCESSING_REQUIRED",
  0xc0000022: "STATUS_ACCESS_DENIED",
  0xc0000034: "STATUS_OBJECT_NAME_NOT_FOUND",
  0xc000003a: "STATUS_OBJECT_PATH_NOT_FOUND",
  0xc000006d: "STATUS_LOGON_FAILURE",
  0xc000006e: "STATUS_ACCOUNT_RESTRICTION",
  0xc0000071: "STATUS_PASSWORD_EXPIRED",
  0xc0000072: "STATUS_ACCOUNT_DISABLED",
  0xc00000ba: "STATUS_FILE_IS_A_DIRECTORY",
  0xc00000cc: "STATUS_BAD_NETWORK_NAME",
  0xc000015b: "STATUS_LOGON_TYPE_NOT_GRANTED",
  0xc0000234: "STATUS_ACCOUNT_LOCKED_OUT",
  0xc0000225: "STATUS_NOT_FOUND",
};

export function dhcpMessageName(type: number): string {
  return dhcpMessages[type] || String(type);
}

/** `second`: the command of SMB 2 or 3, else that of SMB 1. */
export function smbCommandName(command: number, second: boolean): string {
  return (second ? smb2Commands[command] : smb1Commands[command]) ?? String(command);
}

export function ntStatusName(status: number): string {
  return ntStatuses[status] ?? `0x${status.toString(16).padStart(8, "0")}`;
}
