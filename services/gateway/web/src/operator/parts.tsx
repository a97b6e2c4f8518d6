/** What the sections are made of: cards with a head, choices of a few, tables that stand in for charts. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Failure, Waiting } from "../ui/parts";
import type { Asked } from "./use-ask";

export function Card({ title, aside, children }: { title: string; aside?: ComponentChildren; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id}>
      <header class="card-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: [T, string][];
  disabled?: T[];
  onChange: (value: T) => void;
}

/** One of a few, all of them seen. */
export function Choice<T extends string>({ label, value, options, disabled = [], onChange }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      {options.map(([one, word]) => (
        <label key={one}>
          <input
            type="radio"
            name={name}
            checked={one === value}
            disabled={disabled.includes(one)}
            onChange={() => onChange(one)}
          />
          <span>{word}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: [string, string][];
  onChange: (value: string) => void;
}

export function Select({ label, value, options, onChange }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="input select">
        <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map(([one, word]) => (
            <option key={one} value={one}>
              {word}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}

interface TableProps {
  caption: string;
  head: string[];
  rows: (string | number)[][];
  /** Open from the start, without being folded. */
  open?: boolean;
}

const MOST_ROWS = 500;

/** The numbers of a chart for those who do not see it, or want to read them. */
export function Figures({ caption, head, rows }: TableProps) {
  return (
    <details class="figures-fold">
      <summary>Show as a table</summary>
      <div class="table-scroll" tabIndex={0} role="region" aria-label={caption}>
        <Table caption={caption} head={head} rows={rows.slice(0, MOST_ROWS)} />
      </div>
      {rows.length > MOST_ROWS && <p class="hint">The first {MOST_ROWS} rows; the CSV has all of them.</p>}
    </details>
  );
}

export function Table({ caption, head, rows }: TableProps) {
  return (
    <table class="figures">
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          {head.map((word) => (
            <th scope="col" key={word}>
              {word}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, i) => (
          <tr key={i}>
            {row.map((cell, j) => (j === 0 ? <th scope="row">{cell}</th> : <td key={j}>{cell}</td>))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The answer, or what there is instead of it. An answer that is there stays when the next one fails. */
export function Answer<T>({ asked, children }: { asked: Asked<T>; children: (value: T) => ComponentChildren }) {
  if (asked.value !== null) return <>{children(asked.value)}</>;
  return asked.error ? <Failure error={asked.error} retry={asked.reload} /> : <Waiting />;
}
