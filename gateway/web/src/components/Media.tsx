/** The elements that play a track. Browsers do not even decode a remote track that no element plays. */
import { useEffect, useRef } from "react";

import type { Sound } from "../sound";

interface VideoProps {
  track: MediaStreamTrack;
  label: string;
  userId: string;
  kind: "camera" | "screen";
  isMirrored: boolean;
}

/** Plays video only. Browsers never refuse to play a silent element. */
export function Video({ track, label, userId, kind, isMirrored }: VideoProps) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => attach(element.current, track), [track]);
  return (
    <video
      ref={element}
      data-testid="video"
      data-user-id={userId}
      data-kind={kind}
      className={isMirrored ? "mirrored" : undefined}
      aria-label={label}
      autoPlay
      playsInline
      muted
    />
  );
}

interface VoiceProps {
  track: MediaStreamTrack;
  userId: string;
  sound: Sound;
}

export function Voice({ track, userId, sound }: VoiceProps) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (!audio) return undefined;
    const detach = attach(audio, track);
    const remove = sound.add(audio);
    return () => {
      remove();
      detach?.();
    };
  }, [track, sound]);
  return <audio ref={element} data-testid="audio" data-user-id={userId} />;
}

function attach(element: HTMLMediaElement | null, track: MediaStreamTrack): (() => void) | undefined {
  if (!element) return undefined;
  element.srcObject = new MediaStream([track]);
  return () => {
    element.srcObject = null;
  };
}
