import { useEffect, useState } from "react";

import { Icon } from "./Icon";

/** A button that copies the channel's address to the clipboard. */
export function CopyLink() {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [isCopied]);

  const copy = async () => {
    const link = location.origin + location.pathname;
    try {
      await navigator.clipboard.writeText(link);
      setCopied(true);
    } catch {
      // Browsers offer no clipboard to pages served over plain http.
      window.prompt("Copy this link:", link);
    }
  };

  return (
    <button type="button" className="quiet" data-testid="copy-link" title="Copy the link to this channel" onClick={copy}>
      <Icon name={isCopied ? "check" : "link"} />
      <span aria-live="polite">{isCopied ? "Copied" : "Copy link"}</span>
    </button>
  );
}
