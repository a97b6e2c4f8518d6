/** Begins a session by password: what is sent is the authentication key, the keys derived beside it stay here. */
import { account as api } from "../api/calls";
import type { Account } from "../api/types";
import { deriveKeys } from "../crypto/derive";
import type { DerivedKeys } from "../crypto/kdf";
import { toBase64 } from "../lib/encoding";

/** @throws ApiError with status 401 for a wrong password */
export async function prove(address: string, password: string): Promise<{ account: Account; keys: DerivedKeys }> {
  const keys = await deriveKeys(password, await api.kdf(address));
  return { account: await api.signIn(address, toBase64(keys.authenticationKey)), keys };
}
