/** Addresses that get copies of incoming mail: what is said of each, and adding one with the password. */
import { forwarding as api, type Forward } from "../api/forwarding";
import { deriveKeys } from "../crypto/derive";
import { toBase64 } from "../lib/encoding";
import { untilTime } from "../lib/format";
import { addressKey, isAddress } from "../mail/address";
import { account } from "./session";

export const MOST = 3;

export interface Standing {
  tone: "good" | "waiting" | "off";
  badge: string;
  words: string;
}

/** @param now milliseconds since 1970 */
export function standing({ state, confirm_until }: Forward, now: number): Standing {
  if (state === "active") return { tone: "good", badge: "Forwarding", words: "Copies go there" };
  if (state === "stopped")
    return { tone: "off", badge: "Stopped", words: "Whoever reads mail there has stopped it; nothing goes there" };
  const until = confirm_until ? new Date(confirm_until) : null;
  if (!until || until.getTime() <= now)
    return { tone: "off", badge: "No answer", words: "Nobody agreed within 48 hours; take it out to ask again" };
  return {
    tone: "waiting",
    badge: "Asked",
    words: `Waits for an answer there, for ${untilTime(until, now).replace(/^in /, "")}; nothing goes there yet`,
  };
}

/** What is wrong with an address before anybody is asked; "" for nothing. */
export function refuse(typed: string, own: string, known: Forward[]): string {
  const address = typed.trim();
  if (!isAddress(address)) return "This is not an address.";
  const key = addressKey(address);
  if (key === addressKey(own)) return "This is your own address here.";
  if (known.some((one) => addressKey(one.address) === key)) return "This address is in the list already.";
  return "";
}

/** Has the server ask an address. @throws ApiError with status 401 for a wrong password */
export async function addForward(address: string, password: string): Promise<Forward> {
  const current = account.value;
  if (!current) throw new Error("no session");
  const keys = await deriveKeys(password, current.kdf);
  return api.add(address, toBase64(keys.authenticationKey));
}
