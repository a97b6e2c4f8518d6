/** What of each allowance is used: a bar, with its numbers. */
import { above, PER, units } from "../../../state/billing";
import type { Billed } from "../billing";

export function Allowances({ billed }: { billed: Billed }) {
  const { standing, show } = billed;
  if (standing.used.length === 0) return null;
  return (
    <ul class="allowances" aria-label="What is used of the plan">
      {standing.used.map(({ allowance, used }) => {
        const most = allowance.included;
        const share = most === null ? 0 : most > 0 ? Math.min(1, used / most) : 1;
        const more = above(allowance, show);
        return (
          <li class="bar" key={allowance.meter}>
            <p>
              <strong>
                {allowance.title} {PER[allowance.per] && <small class="muted">{PER[allowance.per]}</small>}
              </strong>
              <span class="number">
                {units(used, allowance)} {most === null ? <small class="muted">no limit</small> : <>of {units(most, allowance)}</>}
              </span>
            </p>
            {most !== null && (
              <meter min={0} max={1} high={0.9} optimum={0} value={share} aria-label={`${allowance.title} used`} />
            )}
            {share >= 0.9 && most !== null && <small class="near">{nearly(used, most, more, allowance.per)}</small>}
            {share < 0.9 && more && <small class="muted">{more}</small>}
          </li>
        );
      })}
    </ul>
  );
}

function nearly(used: number, most: number, more: string, per: string): string {
  if (more) return more;
  if (used < most) return `${Math.floor((used / most) * 100)} % is used`;
  return per === "day" ? "All of it is used; there is more from midnight UTC on" : "All of it is used";
}
