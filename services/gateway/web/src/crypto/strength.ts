/**
 * A hint at how hard a password is to guess, from its length, its kinds of characters and what it repeats.
 *
 * It is a hint and says so: a real estimate needs dictionaries of megabytes. It errs to the strict side for what people
 * choose most (common words, the address, runs, repetitions).
 */
const COMMON =
  /passw|pass1|1234|qwert|qwerz|asdf|yxcv|zxcv|letmein|welcome|admin|iloveyou|monkey|dragon|football|abc1|sealpost|secret|geheim|hallo|sommer|winter|summer|19\d\d|20\d\d/gi;

export const LEAST_LENGTH = 10;

export interface Strength {
  /** 0 too short, 1 weak, 2 fair, 3 good, 4 strong */
  level: 0 | 1 | 2 | 3 | 4;
  hint: string;
}

export function strengthOf(password: string, address: string): Strength {
  if (password.length < LEAST_LENGTH) return { level: 0, hint: `At least ${LEAST_LENGTH} characters` };
  const bits = roughBits(password, address);
  if (bits < 40) return { level: 1, hint: "Easy to guess. Several unrelated words are better" };
  if (bits < 55) return { level: 2, hint: "Fair. One more word would help" };
  if (bits < 75) return { level: 3, hint: "Good" };
  return { level: 4, hint: "Strong" };
}

function roughBits(password: string, address: string): number {
  const local = address.split("@")[0] ?? "";
  let rest = password.replace(COMMON, "w");
  if (local.length > 2) rest = rest.toLowerCase().split(local.toLowerCase()).join("w");
  let effective = 0;
  let previous = -2;
  for (const character of rest) {
    const point = character.codePointAt(0) ?? 0;
    effective += Math.abs(point - previous) <= 1 ? 0.25 : 1;
    previous = point;
  }
  const distinct = new Set(rest).size;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^\w\s]/, /[^\0-\x7f]/].filter((kind) => kind.test(password)).length;
  const bitsEach = Math.min(1.6 + 0.9 * kinds, 5.2);
  return Math.min(effective, distinct * 2.5) * bitsEach;
}
