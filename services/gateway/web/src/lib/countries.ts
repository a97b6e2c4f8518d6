/** Countries in the reader's language, by their two letters: what the browser has names for, but for what is none. */

// Groups, outlying parts of countries, and codes that are set aside (ISO 3166-1, CLDR).
const NONE = new Set("AC CP CQ DG EA EU EZ IC QO TA UN XA XB ZZ".split(" "));

export function countries(language?: string): [code: string, name: string][] {
  const names = new Intl.DisplayNames(language ? [language] : [], { type: "region", fallback: "none" });
  const found: [string, string][] = [];
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  for (const first of letters)
    for (const second of letters) {
      const code = first + second;
      const name = NONE.has(code) ? undefined : names.of(code);
      // An older code is named as the one that has taken its place.
      if (name && new Intl.Locale(`und-${code}`).maximize().region === code) found.push([code, name]);
    }
  return found.sort((a, b) => a[1].localeCompare(b[1], language));
}
