/** Every error the API can answer, in one closed table.
 *
 * Out: problem details (RFC 9457) with two members of ours, `code` and `field`, and the status that goes with the code.
 * Invariant: code, status and title are public and fixed;
 * `detail` names the parameter, rule and value, and never holds a secret.
 * Why one table: it is also the list of errors in the OpenAPI page, so neither can drift from the other. @module */

export const apiErrors = {
  bad_parameter: { status: 400, message: "A parameter is wrong" },
  bad_body: { status: 400, message: "The body is wrong" },
  body_cut: { status: 400, message: "The body ended before it was whole" },
  unauthenticated: { status: 401, message: "An API key or a session is needed" },
  bad_signature: { status: 401, message: "The signature does not fit the key" },
  unknown_token: { status: 401, message: "The join token is not known" },
  expired_token: { status: 401, message: "The join token has expired" },
  unknown_sensor: { status: 401, message: "The sensor is not enrolled" },
  forbidden: { status: 403, message: "The role does not allow this" },
  cross_origin: { status: 403, message: "A session may only be used from its own pages" },
  revoked: { status: 403, message: "The sensor is revoked" },
  quarantined: { status: 403, message: "The sensor is quarantined" },
  not_found: { status: 404, message: "There is nothing here" },
  wrong_method: { status: 405, message: "This path has other methods" },
  body_timeout: { status: 408, message: "The body did not come in time" },
  revoked_token: { status: 401, message: "The join token was revoked" },
  used_token: { status: 409, message: "The join token was used by another sensor" },
  name_taken: { status: 409, message: "Another sensor has this name" },
  key_taken: { status: 409, message: "Another enrolment has this key" },
  not_asked: { status: 409, message: "Nobody asked this sensor for these packets" },
  ambiguous: { status: 409, message: "More than one has this name" },
  last_admin: { status: 409, message: "This is the last admin key" },
  too_many_suppressions: { status: 409, message: "Too many suppressions are in force" },
  too_many_policies: {
    status: 409,
    message: "There are too many policies, or too many versions of this one",
  },
  no_release: { status: 409, message: "There is no release of this version" },
  upgrade_running: { status: 409, message: "Another upgrade is under way" },
  wrong_state: { status: 409, message: "The upgrade is in another state" },
  too_large: { status: 413, message: "The body is too large" },
  wrong_host: { status: 421, message: "This server does not answer for that host name" },
  refused: { status: 422, message: "The batch is refused" },
  bad_packets: { status: 422, message: "The packets are refused" },
  too_many: { status: 429, message: "Too many tries from this address" },
  internal: { status: 500, message: "Something went wrong in the aggregator" },
  busy: { status: 503, message: "Too many requests at once" },
  store_unavailable: { status: 503, message: "The database does not answer" },
  no_progress: { status: 503, message: "Work is waiting and none gets done" },
} as const;
export type ApiErrorCode = keyof typeof apiErrors;

export const problemType = "application/problem+json";

/** What goes with an error besides its words. */
export interface ErrorParts {
  /** Further members of the problem, for callers that read them: a batch's `reason`. */
  extra?: Record<string, unknown>;
  /** When to come again; absent = as the status says. */
  retryAfterS?: number;
  /** Name of the parameter or field that is wrong. */
  field?: string;
  /** Headers of the answer. */
  headers?: Record<string, string>;
}

/** Thrown by handlers; the edge turns it into an answer. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ApiErrorCode;
  readonly detail: string | null;
  readonly parts: ErrorParts;

  constructor(code: ApiErrorCode, detail: string | null = null, parts: ErrorParts = {}) {
    super(apiErrors[code].message);
    this.code = code;
    this.detail = detail;
    this.parts = parts;
  }

  get status(): number {
    return apiErrors[this.code].status;
  }

  /** Body of the answer to who asked for `path`. What is not known is left out. */
  problemOf(path: string): Record<string, unknown> {
    const { extra = {}, field } = this.parts;
    return {
      type: `urn:picket:problem:${this.code}`,
      title: this.message,
      status: this.status,
      ...this.detail === null ? {} : { detail: this.detail },
      instance: path,
      code: this.code,
      ...field === undefined ? {} : { field },
      ...extra,
    };
  }
}
