/** The protocol's rules for names of channels and people, and corrections that bring typed text close to them. */
import { LIMITS } from "./protocol";

const CHANNEL = new RegExp(`^[A-Za-z0-9_.:-]{1,${LIMITS.maxIdCharacters}}$`);

export function isChannel(text: string): boolean {
  return CHANNEL.test(text);
}

export function asChannel(text: string): string {
  return text.replace(/\s+/g, "-").slice(0, LIMITS.maxIdCharacters);
}

/**
 * The text as a valid name. Empty if nothing printable is left.
 *
 * The gateway refuses control characters and invisible ones, and counts code points in NFC, as this does.
 */
export function asUsername(text: string): string {
  const visible = text.normalize("NFC").replace(/[\p{Cf}\u115f\u1160\u3164\uffa0]+/gu, "");
  const plain = visible.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return [...plain].slice(0, LIMITS.maxUsernameCharacters).join("").trim();
}
