import { useShortcuts } from "../hooks/useShortcuts";
import { isOn, type LocalDeviceState } from "../localMedia";
import type { Room, RoomState } from "../room";
import { Icon, type IconName } from "./Icon";

interface ControlsProps {
  room: Room;
  local: RoomState["local"];
  onLeave(): void;
}

export function Controls({ room, local, onLeave }: ControlsProps) {
  const { microphone, camera, screen } = local;
  const toggle = {
    microphone: () => void room.local.setMicrophone(!isOn(microphone)),
    camera: () => void room.local.setCamera(!isOn(camera)),
    screen: () => void room.local.setScreen(!isOn(screen)),
  };
  useShortcuts({ m: toggle.microphone, v: toggle.camera });
  const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";

  return (
    <div className="controls" role="group" aria-label="Call">
      <Control
        testId="mute"
        icon={microphone.status === "on" ? "microphone" : "muted"}
        label={microphoneLabel(microphone)}
        shortcut="M"
        isOff={microphone.status !== "on"}
        isBusy={microphone.status === "starting"}
        onClick={toggle.microphone}
      />
      <Control
        testId="camera"
        icon={camera.status === "on" ? "camera" : "cameraOff"}
        label={isOn(camera) ? "Stop camera" : "Start camera"}
        shortcut="V"
        isOff={camera.status !== "on"}
        isBusy={camera.status === "starting"}
        onClick={toggle.camera}
      />
      {canShare && (
        <Control
          testId="screen"
          icon="screen"
          label={isOn(screen) ? "Stop sharing" : "Share screen"}
          isOn={screen.status === "on"}
          isBusy={screen.status === "starting"}
          onClick={toggle.screen}
        />
      )}
      <Control testId="leave" icon="leave" label="Leave" isDanger onClick={onLeave} />
    </div>
  );
}

function microphoneLabel({ status }: LocalDeviceState): string {
  if (status === "on" || status === "starting") return "Mute";
  return status === "muted" ? "Unmute" : "Start microphone";
}

interface ControlProps {
  testId: string;
  icon: IconName;
  label: string;
  shortcut?: string;
  isOff?: boolean;
  isOn?: boolean;
  isBusy?: boolean;
  isDanger?: boolean;
  onClick(): void;
}

function Control({ testId, icon, label, shortcut, isOff, isOn: isActive, isBusy, isDanger, onClick }: ControlProps) {
  const classes = ["control", isOff ? "off" : "", isActive ? "active" : "", isDanger ? "danger" : ""];
  return (
    <button
      type="button"
      className={classes.filter(Boolean).join(" ")}
      data-testid={testId}
      aria-label={label}
      aria-keyshortcuts={shortcut}
      aria-busy={isBusy}
      title={shortcut ? `${label} (${shortcut})` : label}
      onClick={onClick}
    >
      <span className="disc">
        <Icon name={icon} />
      </span>
      <span className="caption" aria-hidden="true">
        {label}
      </span>
    </button>
  );
}
