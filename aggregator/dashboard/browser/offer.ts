/** What this aggregator can be asked, by its own description, so that no page offers what is not there. @module */

export interface OpenApi {
  paths: Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>;
}

export class Offer {
  #parameters = new Map<string, Set<string>>();

  /** Null = the description could not be read: nothing beyond the oldest routes is offered. */
  constructor(description: OpenApi | null) {
    for (const [path, methods] of Object.entries(description?.paths ?? {})) {
      for (const [method, { parameters = [] }] of Object.entries(methods)) {
        const names = parameters.filter((one) => one.in === "query").map(({ name }) => name);
        this.#parameters.set(`${method.toUpperCase()} ${path}`, new Set(names));
      }
    }
  }

  /** "GET /api/v1/hosts/{ip}"; the name in brackets does not matter. */
  has(route: string, parameter?: string): boolean {
    const wanted = route.replace(/\{[^}]*\}/g, "{}");
    for (const [known, names] of this.#parameters) {
      if (known.replace(/\{[^}]*\}/g, "{}") !== wanted) continue;
      if (parameter === undefined || names.has(parameter)) return true;
    }
    return false;
  }
}
