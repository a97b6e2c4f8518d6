/** Who this is: address, the key's fingerprint, the private key to take along, the way out. */
import { saveBytes } from "../../lib/download";
import { account, exportKey } from "../../state/session";
import { toast } from "../../state/toast";
import { Button, Notice } from "../../ui/parts";
import { copy } from "../../ui/copy";
import { leave } from "../mail/top";
import { ConfirmPassword } from "./confirm-password";

export function AccountSection() {
  const current = account.value;
  if (!current) return null;
  const fingerprint = (current.fingerprint.toUpperCase().match(/.{4}/g) ?? []).join(" ");
  const save = async (password: string) => {
    saveBytes(await exportKey(password), `${current.address}.private-key.asc`);
    toast("Private key saved");
  };
  return (
    <>
      <section class="card">
        <dl class="pairs">
          <div>
            <dt>Address</dt>
            <dd class="address">{current.address}</dd>
          </div>
          <div>
            <dt>Key fingerprint</dt>
            <dd class="mono">
              {fingerprint}{" "}
              <button type="button" class="link" onClick={() => void copy(current.fingerprint)}>
                Copy
              </button>
            </dd>
          </div>
        </dl>
        <p class="hint">Compare the fingerprint with somebody to be sure that you both mean the same key.</p>
      </section>
      <section class="card">
        <h2>Take your private key along</h2>
        <p>
          An armoured OpenPGP key that GnuPG and other programs read. With it, every message of this mailbox can be
          opened.
        </p>
        <Notice kind="warning">The file is not protected by a password. Keep it where nobody else can read it.</Notice>
        <ConfirmPassword action="Save private key" work={save} />
      </section>
      <section class="card">
        <h2>Sign out</h2>
        <p>Ends this session and wipes the key from this page.</p>
        <Button icon="signOut" onClick={() => leave()}>
          Sign out
        </Button>
      </section>
    </>
  );
}
