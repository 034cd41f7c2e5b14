// The protocol over the WebSocket of the package ws: requests with their answers, and events.

const ANSWER_WITHIN = 10_000;

export class Signalling {
  #socket;
  #nextId = 0;
  #answers = new Map();

  constructor(socket, onEvent) {
    this.#socket = socket;
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      if (message.id === undefined) {
        onEvent(message.type, message.data);
        return;
      }
      this.#answers.get(message.id)?.(message);
      this.#answers.delete(message.id);
    });
    socket.on("close", () => onEvent("closed", {}));
  }

  static open(WebSocket, url, onEvent) {
    const socket = new WebSocket(url, "trio-sfu.v1", { handshakeTimeout: ANSWER_WITHIN });
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(new Signalling(socket, onEvent)));
      socket.once("error", reject);
    });
  }

  // Sends a request and resolves to the data of its answer. Rejects if the gateway refuses or does not answer.
  ask(type, data = {}) {
    const id = ++this.#nextId;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${type}: no answer`)), ANSWER_WITHIN);
      this.#answers.set(id, (message) => {
        clearTimeout(late);
        if (message.type === "ok") resolve(message.data ?? {});
        else reject(new Error(`${type}: ${JSON.stringify(message.data)}`));
      });
      this.#socket.send(JSON.stringify({ id, type, data }));
    });
  }

  close() {
    return new Promise((resolve) => {
      this.#socket.once("close", resolve);
      this.#socket.close(1000);
    });
  }
}
