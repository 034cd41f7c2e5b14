import { describe, expect, it } from "vitest";

import type { Measurement } from "../src/measurement";
import { PathHealth } from "../src/pathHealth";

const LOOK = 250;

/** A transport that connected at time 0, and its statistics at every look. */
class Path {
  readonly health = new PathHealth();
  now = 0;
  #arrived = 0;
  pair = "udp pair";
  media = 0;
  protocol: Measurement["protocol"] = "udp";

  constructor() {
    this.health.stateChanged("connected", 0);
    this.look();
  }

  look(): void {
    const { pair, protocol, media } = this;
    this.health.measured({ pair, protocol, media, arrived: this.#arrived, packets: new Map(), asked: new Map(), roundTripMs: 0 }, this.now);
  }

  /** Something arrives every `every` milliseconds, or nothing. */
  runs(ms: number, every = Infinity): this {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += LOOK;
      if (this.now % every < LOOK) this.#arrived += 1;
      this.look();
    }
    return this;
  }

  get restartsIn(): number {
    return this.health.restartAt - this.now;
  }
}

describe("a path that carries media", () => {
  it("needs no restart", () => {
    const { health } = new Path().runs(20_000, LOOK);
    expect(health).toMatchObject({ isTroubled: false, isDoubtful: false, restartAt: Infinity });
  });

  it("is doubtful after half a second of silence, and restarts before a second is over", () => {
    const path = new Path().runs(5_000, LOOK).runs(500);
    expect(path.health).toMatchObject({ isTroubled: false, isDoubtful: true });
    path.runs(500);
    expect(path.health).toMatchObject({ isTroubled: true, isDoubtful: true });
    expect(path.restartsIn).toBeLessThanOrEqual(0);
  });

  it("restarts again and again while the silence lasts, after ever longer waits", () => {
    const path = new Path().runs(5_000, LOOK).runs(1_000);
    const waits = [0, 1, 2, 3, 4].map(() => {
      path.health.restarted(path.now);
      return path.restartsIn;
    });
    expect(waits).toEqual([2_500, 3_000, 4_500, 6_000, 6_000]);
  });

  it("is well again once something arrives", () => {
    const path = new Path().runs(5_000, LOOK).runs(2_000);
    path.health.restarted(path.now);
    path.media += 1;
    path.runs(500, LOOK);
    expect(path.health).toMatchObject({ isTroubled: false, restartAt: Infinity });
  });

  it("is not well only because the browser chose another pair", () => {
    const path = new Path().runs(5_000, LOOK).runs(2_000);
    path.pair = "other pair";
    path.look();
    expect(path.health.isTroubled).toBe(true);
    path.runs(LOOK, LOOK);
    expect(path.health.isTroubled).toBe(false);
  });
});

describe("media over another pair", () => {
  it("than the one that the browser holds on to is as good", () => {
    const path = new Path().runs(5_000, LOOK).runs(2_000);
    path.media += 1;
    path.look();
    expect(path.health).toMatchObject({ isTroubled: false, restartAt: Infinity });
  });
});

describe("a path on which all senders fell silent", () => {
  it("restarts once, and is well when the answers to STUN requests show that it works", () => {
    const path = new Path();
    for (let time = 0; time < 20; time += 1) {
      path.media += 1;
      path.runs(LOOK);
    }
    path.runs(1_000);
    expect(path.health.isTroubled).toBe(true);
    path.health.restarted(path.now);
    path.pair = "new pair";
    path.runs(500, LOOK);
    for (let time = 0; time < 40; time += 1) {
      path.runs(LOOK, 2_500);
      expect(path.health).toMatchObject({ isTroubled: false, isDoubtful: false });
    }
  });
});

describe("a path that carries little", () => {
  it.each([500, 1_000, 2_500, 5_000])("something every %i ms is not in trouble", (every) => {
    const path = new Path().runs(20_000, every);
    for (let time = 0; time < 40; time += 1) {
      path.runs(LOOK, every);
      expect(path.health.isTroubled).toBe(false);
    }
  });

  it("gets time when somebody stops sending", () => {
    const path = new Path().runs(5_000, LOOK);
    path.health.expectOther(path.now);
    path.runs(2_000);
    expect(path.health).toMatchObject({ isTroubled: false, isDoubtful: false });
    path.runs(20_000, 2_500);
    expect(path.health).toMatchObject({ isTroubled: false, isDoubtful: false });
  });

  it("of which the browser counts nothing is left to the browser's own state", () => {
    const path = new Path().runs(60_000);
    expect(path.health).toMatchObject({ isTroubled: false, restartAt: Infinity });
    path.health.measured(undefined, path.now);
    path.health.stateChanged("disconnected", path.now);
    expect(path.health.isTroubled).toBe(true);
    expect(path.restartsIn).toBeLessThanOrEqual(0);
  });
});

describe("the browser's state", () => {
  it("before the first connection asks for nothing", () => {
    const health = new PathHealth();
    for (const state of ["connecting", "disconnected", "failed"] as const) {
      health.stateChanged(state, 1);
      health.networkChanged();
      expect(health).toMatchObject({ isTroubled: false, restartAt: Infinity });
    }
  });

  it("that stays bad asks for another restart some seconds later at the earliest", () => {
    const path = new Path();
    path.health.stateChanged("failed", 0);
    path.health.restarted(0);
    path.health.stateChanged("connecting", 1);
    path.health.stateChanged("failed", 2);
    expect(path.health.restartAt).toBe(2_500);
  });

  it("counts as trouble after a restart, until the transport is connected again", () => {
    const path = new Path();
    path.health.stateChanged("disconnected", 0);
    path.health.stateChanged("connecting", 10);
    expect(path.health.isTroubled).toBe(true);
    path.health.stateChanged("connected", 20);
    expect(path.health).toMatchObject({ isTroubled: false, restartAt: Infinity });
  });
});

describe("another network", () => {
  it("asks for a restart at once, and for one only", () => {
    const path = new Path().runs(5_000, LOOK);
    path.health.networkChanged();
    expect(path.restartsIn).toBeLessThanOrEqual(0);
    path.health.restarted(path.now);
    expect(path.health.restartAt).toBe(Infinity);
  });

  it("that changes again asks for another restart a second after the first", () => {
    const path = new Path().runs(5_000, LOOK);
    path.health.networkChanged();
    path.health.restarted(path.now);
    path.health.networkChanged();
    expect(path.restartsIn).toBe(1_000);
  });
});

describe("a path over TCP", () => {
  function overTcp(): Path {
    const path = new Path().runs(5_000, LOOK);
    path.protocol = "tcp";
    path.pair = "tcp pair";
    return path.runs(LOOK, LOOK);
  }

  it("tries UDP again after some seconds, and less and less often", () => {
    const path = overTcp();
    const waits: number[] = [];
    for (let time = 0; time < 9; time += 1) {
      waits.push(path.restartsIn);
      path.runs(path.restartsIn, LOOK);
      path.health.restarted(path.now);
    }
    expect(waits).toEqual([8_000, 8_000, 8_000, 8_000, 8_000, 8_000, 30_000, 60_000, 120_000]);
    expect(path.health.isTroubled).toBe(false);
  });

  it("tries UDP more seldom where no UDP has ever come", () => {
    const path = overTcp();
    path.health.networkChanged();
    path.health.restarted(path.now);
    path.look();
    expect(path.restartsIn).toBe(30_000);
  });

  it("that is back on UDP needs no restart", () => {
    const path = overTcp();
    path.protocol = "udp";
    path.pair = "udp pair";
    path.runs(LOOK, LOOK);
    expect(path.health.restartAt).toBe(Infinity);
  });

  it("restarts at once when it falls silent", () => {
    const path = overTcp().runs(11_000, LOOK).runs(1_000);
    expect(path.health.isTroubled).toBe(true);
    expect(path.restartsIn).toBeLessThanOrEqual(0);
  });
});
