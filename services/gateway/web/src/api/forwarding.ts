/** The routes of forwarding (services/gateway/http/forwarding.py), and their shapes. */
import { ask } from "./http";

export interface Forward {
  id: string;
  address: string;
  /** "stopped" by whoever reads mail there */
  state: "pending" | "active" | "stopped";
  created: string;
  /** null once somebody has answered */
  confirm_until: string | null;
}

export const forwarding = {
  list: async () => (await ask<{ forwards: Forward[] }>("/v1/forwarding")).forwards,
  add: async (address: string, current_authentication_key: string) =>
    (
      await ask<{ forward: Forward }>("/v1/forwarding", {
        method: "POST",
        body: { address, current_authentication_key },
      })
    ).forward,
  drop: (id: string) => ask<void>(`/v1/forwarding/${encodeURIComponent(id)}`, { method: "DELETE" }),
};
