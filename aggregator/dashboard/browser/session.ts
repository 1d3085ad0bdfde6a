/** Who is logged in, and what happens when an action fails: a lost session leads to the login, the rest is said in words, at the field
 * it is about where there is one. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { byId, h, inert } from "./dom.ts";
import type { Problem } from "./call.ts";

/** Filled by main.ts. */
export const session: { role: string; refresh: () => Promise<void> } = {
  role: "viewer",
  refresh: () => Promise.resolve(),
};

/** Runs an action. `form`: whose fields it sends. */
export async function attempt(act: () => unknown, form?: HTMLFormElement): Promise<void> {
  if (form) clearProblems(form);
  try {
    await act();
    byId("problem").hidden = true;
  } catch (problem) {
    const { status = 0, message, field = null } = problem as Partial<Problem> & Error;
    if (status === 401) return showInside(false);
    if (form && field !== null && showAtField(form, field, message)) return;
    byId("problem").textContent = inert(message);
    byId("problem").hidden = false;
  }
}

export function showInside(isInside: boolean): void {
  for (const element of document.querySelectorAll<HTMLElement>(".inside")) element.hidden = !isInside;
  byId("login").hidden = isInside;
  if (!isInside) byId("key").focus();
}

/** False = the form has no such field. */
export function showAtField(form: HTMLFormElement, name: string, message: string): boolean {
  const field = form.elements.namedItem(name);
  if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) return false;
  const note = h("span.problem.small", message);
  note.id = `problem-${form.id}-${name}`;
  note.setAttribute("role", "alert");
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", note.id);
  field.after(note);
  field.focus();
  return true;
}

export function clearProblems(form: HTMLFormElement): void {
  for (const note of form.querySelectorAll(".problem.small")) note.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

export function button(word: string, act: () => unknown): HTMLButtonElement {
  const element = h("button.quiet", word);
  element.type = "button";
  element.addEventListener("click", () => attempt(act));
  return element;
}
