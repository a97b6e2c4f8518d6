/** Amounts: whole minor units, as they are kept; written and read as people write them, without a rounding anywhere. */

/** "€3.57", "-€3.57" in the language of the reader */
export function money(amount: number, currency: string, digits = digitsOf(currency)): string {
  const options = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  try {
    return (amount / 10 ** digits).toLocaleString([], options);
  } catch {
    return `${plainAmount(amount, digits)} ${currency}`;
  }
}

/** How many minor digits a currency has (ISO 4217), as the browser knows it. */
export function digitsOf(currency: string): number {
  try {
    const known = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
    return known.maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

/** "3.57": for fields, which minorUnits reads again. */
export function plainAmount(amount: number, digits: number): string {
  const text = String(Math.abs(amount)).padStart(digits + 1, "0");
  const whole = `${amount < 0 ? "-" : ""}${text.slice(0, text.length - digits)}`;
  return digits > 0 ? `${whole}.${text.slice(-digits)}` : whole;
}

/**
 * Whole minor units of what somebody typed, by point or comma; null where it could mean anything else: grouped digits,
 * more decimals than there are, a sign, nothing at all.
 */
export function minorUnits(typed: string, digits: number): number | null {
  const match = /^(\d{1,13})(?:[.,](\d+))?$/.exec(typed.trim());
  if (!match) return null;
  const [, whole = "", decimals = ""] = match;
  if (decimals.length > digits) return null;
  return Number(whole + decimals.padEnd(digits, "0"));
}
