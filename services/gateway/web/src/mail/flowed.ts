/**
 * Text as it was typed, made fit to travel and to be read on any width: format=flowed (RFC 3676), no DelSp.
 *
 * Paragraphs are cut after 72 characters behind a blank, which readers that know the format join again and others show as
 * lines. Quoted lines stay as they are: they were wrapped once, and not every reader rejoins them rightly.
 */
const SOFT = 72;
const LONGEST = 78;
const SIGNATURE = "-- ";

/** Lines end in CRLF; no line is longer than 78 characters unless it has no blank to cut at, or is quoted. */
export function toFlowed(text: string): string {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n");
  return lines.flatMap(flow).join("\r\n") + "\r\n";
}

/** Lines of another's mail, each behind ">"; what was quoted already gets no blank between. */
export function quote(text: string): string {
  const lines = text.replace(/\r\n?/g, "\n").trimEnd().split("\n");
  return lines
    .flatMap((line) => (line.startsWith(">") ? [line] : wrapHard(line)))
    .map((line) => (line === "" || line.startsWith(">") ? `>${line}` : `> ${line}`))
    .join("\n");
}

function flow(line: string): string[] {
  if (line === SIGNATURE) return [line];
  const plain = line.trimEnd();
  if (plain.startsWith(">")) return [plain];
  const pieces: string[] = [];
  let rest = plain;
  while (rest.length > LONGEST) {
    const at = cut(rest);
    if (at < 0) break;
    pieces.push(stuff(rest.slice(0, at + 1)));
    rest = rest.slice(at + 1);
  }
  return [...pieces, stuff(rest)];
}

/** A blank in front keeps a line from looking like something else (RFC 3676, 4.4). */
function stuff(line: string): string {
  return /^( |>|From )/.test(line) ? ` ${line}` : line;
}

/** Where to cut: the last blank that leaves a line of 72, else the first one; -1 for none. A run of blanks is not torn. */
function cut(line: string): number {
  for (let at = SOFT; at > 0; at--) if (line[at] === " " && line[at + 1] !== " ") return at;
  for (let at = SOFT; at < line.length - 1; at++) if (line[at] === " " && line[at + 1] !== " ") return at;
  return -1;
}

function wrapHard(line: string): string[] {
  const pieces: string[] = [];
  let rest = line.trimEnd();
  while (rest.length > LONGEST) {
    const at = cut(rest);
    if (at < 0) break;
    pieces.push(rest.slice(0, at).trimEnd());
    rest = rest.slice(at + 1);
  }
  return [...pieces, rest];
}
