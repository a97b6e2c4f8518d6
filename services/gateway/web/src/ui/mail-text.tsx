/** Plain text of a mail: kept as written, quotations set back, addresses of the web made into links that tell where they go. */
import type { ComponentChildren } from "preact";
import { readTarget, type Target } from "../mail/links";

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f]+/gi;
const MOST_LINKS = 500;

interface Props {
  text: string;
  onLink: (target: Target) => void;
}

export function MailText({ text, onLink }: Props) {
  const budget = { links: MOST_LINKS };
  return (
    <div class="mail-text">
      {sections(text).map(({ quoted, lines }, i) =>
        quoted ? (
          <blockquote key={i}>{linked(lines, onLink, budget)}</blockquote>
        ) : (
          <p key={i}>{linked(lines, onLink, budget)}</p>
        ),
      )}
    </div>
  );
}

/** Runs of quoted and unquoted lines. */
export function sections(text: string): { quoted: boolean; lines: string }[] {
  const found: { quoted: boolean; lines: string[] }[] = [];
  for (const line of text.split("\n")) {
    const quoted = line.startsWith(">");
    const last = found.at(-1);
    const shown = quoted ? line.replace(/^> ?/, "") : line;
    if (last && last.quoted === quoted) last.lines.push(shown);
    else found.push({ quoted, lines: [shown] });
  }
  return found.map(({ quoted, lines }) => ({ quoted, lines: lines.join("\n") }));
}

function linked(text: string, onLink: (target: Target) => void, budget: { links: number }): ComponentChildren[] {
  const out: ComponentChildren[] = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const shown = match[0].replace(/[).,;:!?\]}]+$/, "");
    const target = budget.links > 0 ? readTarget(shown, shown) : null;
    if (!target) continue;
    budget.links--;
    out.push(text.slice(end, match.index));
    out.push(
      <a
        href={target.url}
        target="_blank"
        rel="noopener noreferrer nofollow"
        onClick={(event) => {
          event.preventDefault();
          onLink(target);
        }}
      >
        {shown}
      </a>,
    );
    end = match.index + shown.length;
  }
  out.push(text.slice(end));
  return out;
}
