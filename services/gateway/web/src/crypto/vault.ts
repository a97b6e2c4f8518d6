/** The page's side of the vault. The worker, and with it openpgp.js, is loaded when a key is first needed. */
import { WorkerCalls } from "../lib/rpc";
import workerUrl from "../workers/vault?worker&url";
import type { VaultHandlers } from "../workers/vault";

export const QUICK = 20_000;
/** 50 MB on a slow telephone. */
export const PATIENT = 120_000;

export const vault = new WorkerCalls<VaultHandlers>(workerUrl);
