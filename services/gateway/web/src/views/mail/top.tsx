/** The head of the mailbox: folders on small screens, search, appearance, account. */
import { asSentence } from "../../api/http";
import { navigate } from "../../lib/router";
import { live, search } from "../../state/mailbox";
import { account, lock, signOut } from "../../state/session";
import { toast } from "../../state/toast";
import { Banners } from "../../ui/banners";
import { Brand, ThemeButton } from "../../ui/frame";
import { Icon } from "../../ui/icon";
import { Menu } from "../../ui/menu";
import { IconButton } from "../../ui/parts";

export function leave(everywhere = false): void {
  signOut(everywhere)
    .then(() => toast("Signed out. The key is gone from this page."))
    .catch((error: unknown) => toast(asSentence(error), { kind: "error" }))
    .finally(() => navigate("/", { replace: true }));
}

interface TopProps {
  onMenu?: () => void;
  onHelp?: () => void;
  /** there is no list here to search */
  plain?: boolean;
}

export function MailTop({ onMenu, onHelp, plain = false }: TopProps) {
  return (
    <>
      <header class="top">
        {onMenu && <IconButton icon="menu" label="Folders" class="only-narrow" onClick={onMenu} />}
        <Brand />
        {onMenu && !plain ? (
          <search class="search">
            <Icon name="search" size={18} />
            <input
              id="search"
              type="search"
              aria-label="Search what is loaded"
              placeholder="Search"
              autocomplete="off"
              value={search.value}
              onInput={(event) => (search.value = event.currentTarget.value)}
              onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
            />
          </search>
        ) : (
          <span class="gap" />
        )}
        <nav aria-label="Page">
          {!live.value && onMenu && <span class="live off">Reconnecting</span>}
          {onHelp && <IconButton icon="keyboard" label="Keyboard (?)" class="only-wide" onClick={onHelp} />}
          <ThemeButton />
          <Menu
            label="Account"
            button={<Icon name="user" />}
            head={<span class="address">{account.value?.address}</span>}
            items={[
              { icon: "contacts", label: "Contacts", run: () => navigate("/contacts") },
              { icon: "send", label: "Sending", run: () => navigate("/sending") },
              { icon: "settings", label: "Settings", run: () => navigate("/settings") },
              { icon: "lock", label: "Lock", run: () => void lock() },
              { icon: "signOut", label: "Sign out", run: () => leave() },
            ]}
          />
        </nav>
      </header>
      <Banners />
    </>
  );
}
