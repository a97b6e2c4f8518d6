/**
 * Argon2id (RFC 9106) in a worker of its own, because it computes for a second and because it needs WebAssembly.
 *
 * The page forbids compiling WebAssembly. A worker has the policy of its own response, so the gateway sends
 *
 *     Content-Security-Policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'
 *
 * on exactly the files `/assets/argon2-*.js` (this file, as built; vite.config.ts keeps every other chunk off that name).
 * The policy allows no connection, so what sees the password cannot send it anywhere.
 */
import { argon2id } from "hash-wasm";
import type { Bytes } from "../lib/encoding";
import { Handover, serve } from "../lib/rpc";

export interface StretchRequest {
  /** UTF-8 of the NFKC-normalised password. */
  password: Bytes;
  salt: Bytes;
  memoryKib: number;
  iterations: number;
  parallelism: number;
}

async function stretch(request: StretchRequest): Promise<Handover<Bytes>> {
  const root = await argon2id({
    password: request.password,
    salt: request.salt,
    memorySize: request.memoryKib,
    iterations: request.iterations,
    parallelism: request.parallelism,
    hashLength: 32,
    outputType: "binary",
  });
  request.password.fill(0);
  return new Handover(root as Bytes, [root.buffer]);
}

const handlers = {
  stretch: (request: StretchRequest): Promise<Bytes> => stretch(request) as unknown as Promise<Bytes>,
};
export type Argon2Handlers = typeof handlers;

serve(handlers);
