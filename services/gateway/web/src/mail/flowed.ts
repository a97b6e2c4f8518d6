/**
 * Text as it was typed, made fit to travel and to be read on any width: format=flowed (RFC 3676), without DelSp.
 *
 * Paragraphs are cut after 72 characters behind a blank, which readers that know the format join again and others show as
 * lines. A quoted paragraph is cut with its marks in front of each line.
 */
const SOFT = 72;
const LONGEST = 78;
const SIGNATURE = "-- ";

/** Lines end in CRLF; none is longer than 78 characters unless it has no blank to cut at. */
export function toFlowed(text: string): string {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n");
  return lines.flatMap(flow).join("\r\n") + "\r\n";
}

/** The other direction: lines that were cut are joined where their quoting is the same (RFC 3676, 4.1 to 4.5). */
export function fromFlowed(text: string, delSp: boolean): string {
  const out: string[] = [];
  let open = -1;
  for (const line of text.replace(/\r\n?/g, "\n").split("\n")) {
    const depth = /^>*/.exec(line)![0].length;
    const content = line.slice(depth).replace(/^ /, "");
    if (open === depth && content !== SIGNATURE) out[out.length - 1] += content;
    else out.push((depth > 0 ? ">".repeat(depth) + (content === "" ? "" : " ") : "") + content);
    const soft = content.endsWith(" ") && content !== SIGNATURE;
    open = soft ? depth : -1;
    if (soft && delSp) out[out.length - 1] = out.at(-1)!.slice(0, -1);
  }
  return out.join("\n");
}

/** Lines of another's mail, each behind ">"; what was quoted already gets no blank between. */
export function quote(text: string): string {
  const lines = text.replace(/\r\n?/g, "\n").trimEnd().split("\n");
  return lines.map((line) => (line === "" || line.startsWith(">") ? `>${line}` : `> ${line}`)).join("\n");
}

function flow(line: string): string[] {
  if (line === SIGNATURE) return [line];
  const marks = /^>*/.exec(line)![0];
  let rest = line.slice(marks.length).trimEnd();
  // A blank behind the marks belongs to them.
  if (marks) rest = rest.replace(/^ /, "");
  const room = marks ? marks.length + 1 : 0;
  const pieces: string[] = [];
  while (rest.length + room > LONGEST) {
    const at = cut(rest, Math.max(20, SOFT - room));
    if (at < 0) break;
    pieces.push(stuff(marks, rest.slice(0, at + 1)));
    rest = rest.slice(at + 1);
  }
  return [...pieces, stuff(marks, rest)];
}

/** A blank in front keeps a line from looking like something else (RFC 3676, 4.4). */
function stuff(marks: string, line: string): string {
  if (marks) return line === "" ? marks : `${marks} ${line}`;
  return /^( |>|From )/.test(line) ? ` ${line}` : line;
}

/** Where to cut: the last blank that leaves a line of `soft`, else the first one; -1 for none. Runs of blanks are not torn. */
function cut(line: string, soft: number): number {
  for (let at = soft; at > 0; at--) if (line[at] === " " && line[at + 1] !== " ") return at;
  for (let at = soft; at < line.length - 1; at++) if (line[at] === " " && line[at + 1] !== " ") return at;
  return -1;
}
