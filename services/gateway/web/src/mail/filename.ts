/** Names of attachments, made safe to write to a disk and honest to look at. */

const MOST_CHARACTERS = 120;
// Control characters, marks that turn the direction around (invoice-fdp.exe), and invisible ones.
const INVISIBLE = /[\0-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
const RUNS =
  /\.(exe|com|scr|pif|bat|cmd|ps1|vbs?|vbe|jse?|mjs|wsf|wsh|hta|msi|msp|cpl|jar|lnk|reg|inf|chm|iso|img|vhdx?|app|dmg|pkg|command|sh|apk|deb|rpm|appimage|desktop|svg|x?html?|xll|xlam|(doc|xls|ppt)m|one)$/i;

/** A file name without a path, control or direction characters, reserved words, or endless length. */
export function safeFileName(name: string): string {
  let safe = name
    .normalize("NFC")
    .replace(INVISIBLE, "")
    .replace(/[/\\:*?"<>|]/g, "_")
    .replace(/\s+/g, " ");
  safe = safe.replace(/^[.\s]+|[.\s]+$/g, "");
  if (RESERVED.test(safe)) safe = "_" + safe;
  if (safe.length > MOST_CHARACTERS) safe = shorten(safe);
  return safe || "attachment";
}

/** Whether opening a file of this name may run what its sender wrote. */
export function runsWhenOpened(name: string): boolean {
  return RUNS.test(safeFileName(name));
}

function shorten(name: string): string {
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0] ?? "";
  const stem = Array.from(name.slice(0, name.length - extension.length));
  let kept = "";
  for (const character of stem) {
    if (kept.length + character.length + extension.length > MOST_CHARACTERS) break;
    kept += character;
  }
  return kept.trimEnd() + extension;
}
