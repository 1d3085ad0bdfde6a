/** The one version number of both programs. @module */

/** Semantic version, printed by `--version`, sent in every check-in. */
export const version = "0.1.0";
