/** Every error the API can answer, in one closed table.
 *
 * Out: `{"error": {"code", "message", "detail"}}` and the status that goes with the code.
 * Invariant: code, status and message are public and fixed; `detail` names the parameter, rule and value, and never holds a secret.
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
  body_timeout: { status: 408, message: "The body did not come in time" },
  used_token: { status: 409, message: "The join token was used by another sensor" },
  name_taken: { status: 409, message: "Another sensor has this name" },
  clock_skew: { status: 409, message: "The sensor's clock is too far from the aggregator's" },
  too_large: { status: 413, message: "The body is too large" },
  wrong_host: { status: 421, message: "This server does not answer for that host name" },
  refused: { status: 422, message: "The batch is refused" },
  too_many: { status: 429, message: "Too many tries from this address" },
  internal: { status: 500, message: "Something went wrong in the aggregator" },
  busy: { status: 503, message: "Too many requests at once" },
  store_unavailable: { status: 503, message: "The database does not answer" },
  no_progress: { status: 503, message: "Work is waiting and none gets done" },
} as const;
export type ApiErrorCode = keyof typeof apiErrors;

/** Thrown by handlers; the edge turns it into an answer. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ApiErrorCode;
  readonly detail: string | null;
  /** Fields beside `error`, for callers that read them: a batch's `reason`. */
  readonly extra: Record<string, unknown>;
  /** When to come again; null = as the status says. */
  readonly retryAfterS: number | null;

  constructor(
    code: ApiErrorCode,
    detail: string | null = null,
    extra: Record<string, unknown> = {},
    retryAfterS: number | null = null,
  ) {
    super(apiErrors[code].message);
    this.code = code;
    this.detail = detail;
    this.extra = extra;
    this.retryAfterS = retryAfterS;
  }

  get status(): number {
    return apiErrors[this.code].status;
  }

  /** Body of the answer. */
  toJSON(): Record<string, unknown> {
    return { error: { code: this.code, message: this.message, detail: this.detail }, ...this.extra };
  }
}
