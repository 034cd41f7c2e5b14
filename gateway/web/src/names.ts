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
 * The gateway refuses control characters and counts code points, as this does.
 */
export function asUsername(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cs}]+/gu, " ").trim();
  return [...plain].slice(0, LIMITS.maxUsernameCharacters).join("").trim();
}
