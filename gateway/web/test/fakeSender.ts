/** A sender that, like a browser, takes back only the parameters that it gave out last. */
export class FakeSender {
  encodings: { rid?: string; active?: boolean }[];
  refuses = false;
  calls = 0;
  #given: unknown;

  constructor(...rids: string[]) {
    this.encodings = rids.map((rid) => ({ rid, active: true }));
  }

  getParameters = () => {
    const parameters = { encodings: this.encodings.map((each) => ({ ...each })) };
    this.#given = parameters;
    return parameters;
  };

  setParameters = async (parameters: { encodings: { rid?: string; active?: boolean }[] }) => {
    this.calls += 1;
    if (this.refuses || parameters !== this.#given) throw new Error("InvalidStateError");
    this.encodings = parameters.encodings;
  };

  get active() {
    return this.encodings.map(({ active }) => active);
  }
}
