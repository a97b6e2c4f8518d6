/**
 * One way to ask the server: JSON in and out, a time limit on everything, errors as RFC 9457 problems turned into sentences.
 *
 * The text of a problem comes from the server and is shown as text; programs decide by `status` and `reason` alone.
 */

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly retryAfter: number | null = null,
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
    this.name = "ApiError";
  }
}

interface Ask {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  /** milliseconds */
  timeout?: number;
  signal?: AbortSignal;
}

const TIMEOUT = 20_000;
/** What the server's clock is ahead of ours, in milliseconds: ids and dates of mail are judged by the server's. */
let ahead = 0;
let onUnauthorised: () => void = () => undefined;

/** Called on every 401: a wrong password, or a session that is no more; the handler finds out which. */
export function whenUnauthorised(handler: () => void): void {
  onUnauthorised = handler;
}

/** The time by the server's clock, as far as it has told. */
export function serverNow(): Date {
  return new Date(Date.now() + ahead);
}

/** @throws ApiError with status 0 when the server cannot be reached */
export async function ask<T>(path: string, options: Ask = {}): Promise<T> {
  const response = await request(path, options, "application/json");
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** The bytes of a sealed body or a public mail, bounded. @throws ApiError */
export async function askBytes(path: string, most: number, options: Ask = {}): Promise<Uint8Array<ArrayBuffer>> {
  const response = await request(path, { timeout: 120_000, ...options }, "application/octet-stream");
  if (Number(response.headers.get("Content-Length") ?? 0) > most) {
    await response.body?.cancel();
    throw new ApiError(413, "too_large", "This message is too large to open here.");
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > most) throw new ApiError(413, "too_large", "This message is too large to open here.");
  return bytes;
}

async function request(path: string, options: Ask, accept: string): Promise<Response> {
  const headers: Record<string, string> = { Accept: accept };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(options.timeout ?? TIMEOUT);
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.method ?? "GET",
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The server cannot be reached. Check your connection.");
  }
  readClock(response.headers.get("Date"));
  if (response.ok) return response;
  throw await problemOf(response);
}

function readClock(date: string | null): void {
  const told = Date.parse(date ?? "");
  // A second is as fine as the header gets; below that, ours is better.
  if (!Number.isNaN(told)) ahead = Math.abs(told - Date.now()) > 5_000 ? told - Date.now() : 0;
}

/** The failure that an answer tells of. */
export async function problemOf(response: Response): Promise<ApiError> {
  let problem: Record<string, unknown> = {};
  try {
    problem = (await response.json()) as Record<string, unknown>;
  } catch {
    problem = {};
  }
  const reason = String(problem["reason"] ?? "");
  if (response.status === 401) onUnauthorised();
  const wait = response.headers.get("Retry-After");
  const retryAfter = wait && /^\d+$/.test(wait) ? Number(wait) : null;
  return new ApiError(
    response.status,
    reason,
    sentence(response.status, problem, retryAfter),
    retryAfter,
    fieldsOf(problem),
  );
}

function sentence(status: number, problem: Record<string, unknown>, retryAfter: number | null): string {
  const known = LIMITS[String(problem["reason"] ?? "")];
  if (known) return retryAfter === null ? known : `${known} Try again in ${waitText(retryAfter)}.`;
  if (status === 429) return `Too many tries. Please wait ${waitText(retryAfter)} and try again.`;
  if (status >= 500) return "The server could not do this just now. Please try again.";
  const detail = problem["detail"] ?? problem["title"];
  return typeof detail === "string" && detail !== "" ? detail.slice(0, 300) : "The server refused this request.";
}

const LIMITS: Record<string, string> = {
  recipients_per_day: "You have written to as many people as one may in a day.",
  recipients_per_minute: "You are writing to many people at once.",
  sending_paused: "Sending is paused for this mailbox: too much of its mail was returned or complained about.",
};

function waitText(seconds: number | null): string {
  if (seconds === null) return "a moment";
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  if (seconds > 7200) return `${Math.ceil(seconds / 3600)} hours`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/** `errors` of a problem: a list of {field, detail} or an object of field to text. */
function fieldsOf(problem: Record<string, unknown>): Record<string, string> {
  const errors = problem["errors"];
  const fields: Record<string, string> = {};
  if (Array.isArray(errors)) {
    for (const error of errors.slice(0, 50) as Record<string, unknown>[]) {
      fields[String(error["field"] ?? error["loc"] ?? "")] = String(
        error["detail"] ?? error["message"] ?? error["msg"] ?? "",
      );
    }
  } else if (typeof errors === "object" && errors !== null) {
    for (const [field, text] of Object.entries(errors)) fields[field] = String(text);
  }
  return fields;
}

/** Any failure as a sentence for a person. */
export function asSentence(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof Error && "reason" in error) {
    const known = SENTENCES[String(error.reason)];
    if (known) return known;
  }
  return "Something went wrong in this page. Please try again.";
}

const SENTENCES: Record<string, string> = {
  timeout: "This took too long and was stopped.",
  worker_failed: "Your browser refused to run a part of this page. Please reload it.",
  unwrap_failed: "That password does not open your key.",
  kdf_parameters: "The server asked for an unsafe key derivation. Nothing was sent.",
  recovery_code_malformed: "That is not a complete recovery code: it has 32 letters and digits.",
  locked: "Your mailbox is locked. Enter your password again.",
  closed: "This was stopped.",
  certificate_unusable: "The key of this recipient cannot be used.",
  not_signed_by_us: "What is stored here was not written by you. It was not opened.",
  not_read: "A file could not be read. Was it moved or changed?",
};
