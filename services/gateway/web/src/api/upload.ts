/**
 * Requests that carry a sealed mail: a frame (docs/architecture.md) of a small JSON header and a large body, sent with
 * progress. XMLHttpRequest, since fetch tells nothing while it sends.
 */
import type { Bytes } from "../lib/encoding";
import { ApiError, problemOf } from "./http";

export type Progress = (sent: number, total: number) => void;

/** What goes with an upload: who hears how far it is, and what breaks it off. */
export interface Way {
  progress: Progress;
  stop?: AbortSignal;
}

const TIMEOUT = 15 * 60_000;
const TYPE = "application/vnd.sealpost.frame";

export function frame(header: object, body: Bytes): Blob {
  const head = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, head.length);
  return new Blob([length.buffer, head, body]);
}

/** @throws ApiError with status 0: "unreachable", or "stopped" when `stop` broke it off; then the server may have it or not */
export function upload(
  path: string,
  content: Blob,
  headers: Record<string, string>,
  { progress, stop }: Way,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = () => reject(new ApiError(0, "stopped", "Stopped."));
    if (stop?.aborted) return stopped();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    stop?.addEventListener("abort", abort, { once: true });
    request.onloadend = () => stop?.removeEventListener("abort", abort);
    request.open("POST", path);
    request.timeout = TIMEOUT;
    request.responseType = "text";
    request.setRequestHeader("Content-Type", TYPE);
    request.setRequestHeader("Accept", "application/json");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded, content.size);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve();
      void problemOf(asResponse(request)).then(reject, reject);
    };
    const unreachable = () =>
      reject(new ApiError(0, "unreachable", "The server cannot be reached. Check your connection."));
    request.onerror = unreachable;
    request.ontimeout = unreachable;
    request.onabort = stopped;
    request.send(content);
  });
}

function asResponse(request: XMLHttpRequest): Response {
  const wait = request.getResponseHeader("Retry-After");
  const status = request.status >= 400 && request.status < 600 ? request.status : 500;
  return new Response(request.responseText, { status, headers: wait ? { "Retry-After": wait } : {} });
}
