/** Version 16: hosts in the order in which they were first seen, for whoever asks which are new. @module */

const index = "CREATE INDEX IF NOT EXISTS hosts_by_first ON hosts (first_us)";

export const sqlite = [index];
export const mariadb = [index];
