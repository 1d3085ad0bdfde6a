/** Light or dark: as the system says, until a person chooses. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { remember, remembered } from "./edges.ts";

export type Theme = "system" | "light" | "dark";
const themes: readonly Theme[] = ["system", "light", "dark"];

export function chosenTheme(): Theme {
  return themes.find((one) => one === remembered("theme")) ?? "system";
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = chosenTheme();
}

/** The next of system, light, dark. */
export function turnTheme(): Theme {
  const next = themes[(themes.indexOf(chosenTheme()) + 1) % themes.length];
  remember("theme", next);
  applyTheme();
  return next;
}
