/** Clock, timers and storage of the browser: the one file of the dashboard that reaches for them. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

export function nowMs(): number {
  return Date.now();
}

/** Calls `act` every `ms` while the page is visible, and when it becomes visible again. Out: how to stop it. */
export function every(ms: number, act: () => void): () => void {
  const look = () => document.visibilityState === "visible" && act();
  const timer = setInterval(look, ms);
  document.addEventListener("visibilitychange", look);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

/** What a person chose before on this machine; null where the browser keeps nothing. */
export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`picket-${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`picket-${name}`, value);
  } catch {
    // A browser that keeps nothing works all the same; the choice ends with the page.
  }
}
