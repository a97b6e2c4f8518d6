/** Derives both keys from a password; the stretching runs in its own worker, which ends with the derivation. */
import type { Argon2Handlers } from "../workers/argon2";
import workerUrl from "../workers/argon2?worker&url";
import { WorkerCalls } from "../lib/rpc";
import { checkKdf, passwordBytes, splitRoot, type DerivedKeys, type Kdf } from "./kdf";

const TIMEOUT = 120_000;

/** @throws WeakParameters, WorkerFailure */
export async function deriveKeys(password: string, kdf: Kdf): Promise<DerivedKeys> {
  const salt = checkKdf(kdf);
  const calls = new WorkerCalls<Argon2Handlers>(workerUrl);
  try {
    const bytes = passwordBytes(password);
    const root = await calls.call(
      "stretch",
      {
        password: bytes,
        salt,
        memoryKib: kdf.memory_kib,
        iterations: kdf.iterations,
        parallelism: kdf.parallelism,
      },
      { timeout: TIMEOUT, transfer: [bytes.buffer] },
    );
    return await splitRoot(root);
  } finally {
    calls.close();
  }
}
