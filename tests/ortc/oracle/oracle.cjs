// mediasoup's answers, one line of JSON for each line of JSON. The first line is the router's codecs.
const readline = require('node:readline');
const ortc = require('mediasoup/ortc');

let router;

const produced = (kind, parameters) => {
  ortc.validateAndNormalizeRtpParameters(parameters);
  if (parameters.encodings.length === 0) parameters.encodings = [{}];
  const mapping = ortc.getProducerRtpParametersMapping(parameters, router);
  return ortc.getConsumableRtpParameters(kind, parameters, router, mapping);
};

const validated = (capabilities) => {
  ortc.validateAndNormalizeRtpCapabilities(capabilities);
  return capabilities;
};

const questions = {
  router: ({ codecs }) => {
    router = ortc.generateRouterRtpCapabilities(codecs);
    return null;
  },
  produce: ({ kind, rtpParameters }) => produced(kind, rtpParameters).codecs[0] ?? null,
  capabilities: ({ rtpCapabilities }) => {
    validated(rtpCapabilities);
    return null;
  },
  consume: ({ kind, rtpParameters, rtpCapabilities }) => {
    const consumableRtpParameters = produced(kind, rtpParameters);
    const remoteRtpCapabilities = validated(rtpCapabilities);
    if (!ortc.canConsume(consumableRtpParameters, remoteRtpCapabilities)) throw new Error('canConsume is false');
    const told = ortc.getConsumerRtpParameters({ consumableRtpParameters, remoteRtpCapabilities, enableRtx: false });
    return told.codecs[0];
  },
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { question, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = { accepted: true, codec: questions[question](given) };
  } catch (error) {
    answer = { accepted: false, why: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
