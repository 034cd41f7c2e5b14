/** What the person has entered in the join form. */
import { useEffect, useState } from "react";

import type { LinkOptions } from "../address";
import { asUsername, isChannel } from "../names";
import { recall } from "../remembered";
import type { JoinOptions } from "../room";

export type FormOptions = Omit<JoinOptions, "userId" | "token">;

export interface UseEntries {
  readonly entries: FormOptions;
  change(entries: Partial<FormOptions>): void;
  /** The options to join this channel with. Undefined as long as something is missing. */
  complete(channelId?: string): FormOptions | undefined;
}

/** `channelId` is the channel named in the page's address. */
export function useEntries(channelId: string | undefined, linkOptions: LinkOptions): UseEntries {
  const [entries, setEntries] = useState((): FormOptions => {
    const remembered = recall();
    return {
      channelId: channelId ?? "lobby",
      username: linkOptions.name ?? remembered.name,
      microphone: linkOptions.microphone ?? remembered.microphone,
      camera: linkOptions.camera ?? remembered.camera,
    };
  });
  const change = (changed: Partial<FormOptions>) => setEntries((before) => ({ ...before, ...changed }));
  useEffect(() => {
    if (channelId !== undefined) change({ channelId });
  }, [channelId]);

  const complete = (channel = entries.channelId) => {
    const options = { ...entries, channelId: channel, username: asUsername(entries.username) };
    return options.username !== "" && isChannel(channel) ? options : undefined;
  };
  return { entries, change, complete };
}
