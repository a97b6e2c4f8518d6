/** Two fields for a new password with a hint at its strength; tells its owner when both agree and are long enough. */
import { useState } from "preact/hooks";
import { strengthOf } from "../crypto/strength";
import { PasswordField } from "./parts";

interface Props {
  address: string;
  password: string;
  repeated: string;
  onPassword: (value: string) => void;
  onRepeated: (value: string) => void;
  label?: string;
}

const METER_STEPS = [1, 2, 3, 4] as const;

function newPasswordFits(password: string, repeated: string, address: string): boolean {
  return password === repeated && strengthOf(password, address).level > 0;
}

/** The two fields as state: what they hold, whether they fit, and the properties of the component. */
export function useNewPassword(address: string) {
  const [password, onPassword] = useState("");
  const [repeated, onRepeated] = useState("");
  const clear = () => {
    onPassword("");
    onRepeated("");
  };
  const fits = newPasswordFits(password, repeated, address);
  return { password, fits, clear, fields: { address, password, repeated, onPassword, onRepeated } };
}

export function NewPassword({ address, password, repeated, onPassword, onRepeated, label = "Password" }: Props) {
  const strength = strengthOf(password, address);
  const mismatch = repeated !== "" && repeated !== password ? "The two are not the same" : undefined;
  return (
    <>
      <PasswordField
        label={label}
        name="new-password"
        autocomplete="new-password"
        required
        value={password}
        onInput={(event) => onPassword(event.currentTarget.value)}
        hint={
          <span class="strength">
            <span class={`meter level-${strength.level}`} aria-hidden="true">
              {METER_STEPS.map((step) => (
                <i key={step} class={password && strength.level >= step ? "on" : ""} />
              ))}
            </span>
            <span aria-live="polite">{password ? strength.hint : "Several unrelated words make a good one"}</span>
          </span>
        }
      />
      <PasswordField
        label="Repeat it"
        name="repeat-password"
        autocomplete="new-password"
        required
        value={repeated}
        onInput={(event) => onRepeated(event.currentTarget.value)}
        error={mismatch}
      />
    </>
  );
}
