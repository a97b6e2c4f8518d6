/** What differs between two texts, by words: the longest common run of words stays, the rest is marked. */

export interface Piece {
  text: string;
  changed: boolean;
}

// The table has a field for each pair of words; sentences of a policy are far shorter.
const MOST_WORDS = 600;

export function marked(before: string, after: string): { before: Piece[]; after: Piece[] } {
  const [old, next] = [words(before), words(after)];
  if (old.length > MOST_WORDS || next.length > MOST_WORDS) {
    return { before: [{ text: before, changed: true }], after: [{ text: after, changed: true }] };
  }
  const table = lengths(old, next);
  const left: Piece[] = [];
  const right: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < next.length) {
    if (i < old.length && j < next.length && old[i] === next[j]) {
      push(left, old[i++]!, false);
      push(right, next[j++]!, false);
    } else if (j === next.length || (i < old.length && table[i + 1]![j]! >= table[i]![j + 1]!)) {
      push(left, old[i++]!, true);
    } else {
      push(right, next[j++]!, true);
    }
  }
  return { before: left, after: right };
}

const words = (text: string) => text.match(/\s+|\S+/g) ?? [];

/** Of the longest common run of what is left from each place on. */
function lengths(old: string[], next: string[]): number[][] {
  const table = Array.from({ length: old.length + 1 }, () => new Array<number>(next.length + 1).fill(0));
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = next.length - 1; j >= 0; j--) {
      table[i]![j] = old[i] === next[j] ? table[i + 1]![j + 1]! + 1 : Math.max(table[i + 1]![j]!, table[i]![j + 1]!);
    }
  }
  return table;
}

function push(pieces: Piece[], text: string, changed: boolean): void {
  const last = pieces.at(-1);
  if (last?.changed === changed) last.text += text;
  else pieces.push({ text, changed });
}
