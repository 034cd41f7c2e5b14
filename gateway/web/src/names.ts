/** What the protocol takes as the name of a channel and of a person, and how near to it one gets without guessing. */
import { LIMITS } from "./protocol";

const CHANNEL = new RegExp(`^[A-Za-z0-9_.:-]{1,${LIMITS.maxIdCharacters}}$`);

export function isChannel(text: string): boolean {
  return CHANNEL.test(text);
}

export function asChannel(text: string): string {
  return text.replace(/\s+/g, "-").slice(0, LIMITS.maxIdCharacters);
}

/** Empty where nothing is left to call somebody by. The gateway counts code points and takes no control characters. */
export function asUsername(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cs}]+/gu, " ").trim();
  return [...plain].slice(0, LIMITS.maxUsernameCharacters).join("").trim();
}
